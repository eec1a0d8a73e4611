"""Latent or pixel diffusion: python -m experiments.latent_diffusion.run --workdir=runs/x.

Class → image by diffusion, on the latents of an autoencoder and on pixels. The steps on
pixels are chosen so that all training, but for the judge's, takes as many FLOPs as that of
the autoencoder and the diffusion on its latents.
"""

from experiments.digits.run import ACCURACY, BITS, PSNR, SECONDS
from experiments.equal_flops import with_equal_flops
from experiments.study import FRECHET, Column, Row, Scale, Study, main

LATENT = Row("latent diffusion", "digits.py:abstraction=kl")
PIXEL = Row("pixel diffusion", "digits.py:abstraction=identity")


def rows(scale: Scale) -> tuple[Row, Row]:
    """Returns both rows, with the steps of equal FLOPs on pixels."""
    return LATENT, with_equal_flops(PIXEL, LATENT, scale)


STUDY = Study(
    "latent_diffusion",
    rows,
    (
        ACCURACY,
        FRECHET,
        Column("real images", "real/frechet", "{:.1f}"),
        BITS,
        PSNR,
        SECONDS,
    ),
    shared=("judge",),
    differences=((LATENT.title, PIXEL.title),),
)

if __name__ == "__main__":
    main(STUDY)
