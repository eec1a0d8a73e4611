"""Bottlenecks at equal bits: python -m experiments.quantizers.run --workdir=runs/x.

Class → Y′ → image with 7 bits per position of a grid of 7 × 7, 343 per image. Residual VQ
has two codes of 11 per position, 339 bits: of 12 they would be 351. The rate of Gaussian
latents is their divergence from the standard normal, which the weight of the KL term sets:
the one here was chosen for about as many bits. Codes have an autoregressive prior, whose
likelihood is exact, and latents a diffusion prior, which has none and trains for about as
long as theirs.
"""

from experiments.digits.run import ACCURACY, BITS, PSNR, REAL
from experiments.study import FRECHET, Column, Row, Study, main

ROWS = (
    Row("VQ", "digits.py"),
    Row("FSQ", "digits.py:abstraction=fsq"),
    Row("LFQ", "digits.py:abstraction=lfq"),
    Row(
        "residual VQ",
        "digits.py:abstraction=rvq",
        {"abstraction.bottleneck.num_codes": 11},
    ),
    Row(
        "KL",
        "digits.py:abstraction=kl",
        {"abstraction.bottleneck.weight": 0.0023, "train.prior.steps": 1800},
    ),
)
COLUMNS = (
    BITS,
    PSNR,
    Column("codes used", "abstraction/codebook_use", "{:.0%}"),
    Column("perplexity", "abstraction/codebook_perplexity", "{:.0f}"),
    Column("prior NLL", "prior/bits", "{:.0f} bits"),
    ACCURACY,
    FRECHET,
    REAL,
)
STUDY = Study("quantizers", ROWS, COLUMNS, shared=("judge",))

if __name__ == "__main__":
    main(STUDY)
