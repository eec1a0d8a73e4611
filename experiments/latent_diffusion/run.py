"""Latent or pixel diffusion: python -m experiments.latent_diffusion.run --workdir=runs/x.

Class → image by diffusion, on the latents of an autoencoder and on pixels. The steps on
pixels are chosen so that all training, but for the judge's, takes as many FLOPs as that of
the autoencoder and the diffusion on its latents.
"""

import dataclasses

from experiments.digits.run import ACCURACY, BITS, FRECHET, PSNR, SECONDS
from experiments.study import Column, Row, Scale, Study, configure, main
from regen_jax.cli import dry_run
from regen_jax.config.build import build
from regen_jax.training.inspect.flops import model_flops

LATENT = Row("latent diffusion", "digits.py:abstraction=kl")
PIXEL = Row("pixel diffusion", "digits.py:abstraction=identity")


def rows(scale: Scale) -> tuple[Row, Row]:
    """Returns both rows, with the steps of equal FLOPs on pixels."""
    latent, pixel = training_flops(LATENT, scale), training_flops(PIXEL, scale)
    budget = sum(steps * flops for steps, flops in latent.values())
    _, flops = pixel["prior"]
    steps = {"train.prior.steps": round(budget / flops)}
    return LATENT, dataclasses.replace(PIXEL, options=steps)


def training_flops(row: Row, scale: Scale) -> dict[str, tuple[int, float]]:
    """Returns steps, and FLOPs per step, of each stage of a row but for judges."""
    run = build(configure(row, {}, scale), reports=False)
    return {
        step.stage.name: (
            step.options.steps,
            model_flops(step.stage, step.state, step.frozen, step.batch),
        )
        for step in dry_run.steps(run)
        if step.stage.name not in run.task.judges
    }


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
