"""Class → image: python -m experiments.digits.run --workdir=runs/x --tables=generators.

Table `abstractions` compares kinds of Y′, and `generators` kinds of X → Y′.
"""

from experiments.study import FRECHET, Column, Row, Study, main

ROWS = (
    Row("VQ codes", "digits.py"),
    Row("FSQ codes", "digits.py:abstraction=fsq"),
    Row("residual VQ codes", "digits.py:abstraction=rvq"),
    Row("7 × 7 pixels", "digits.py:abstraction=downsample"),
    Row("direct", "digits.py:abstraction=identity"),
)
ACCURACY = Column("judge's accuracy", "samples/accuracy", "{:.1%}")
REAL = Column("real images", "real/frechet", "{:.1f}", spread="real/frechet_std")
PSNR = Column("PSNR", "abstraction/psnr", "{:.1f} dB")
BITS = Column("bits of Y′", "abstraction/bits", "{:.0f}")
SECONDS = Column(
    "seconds per 100 samples",
    "samples/throughput_per_second",
    "{:.2f}",
    convert=lambda per_second: 100 / per_second,
)
CALLS = Column("calls of the prior's network", "samples/prior_calls", "{:.0f}")
COLUMNS = (
    ACCURACY,
    FRECHET,
    REAL,
    Column("nearest training image", "samples/nearest_training"),
    PSNR,
)

AUTOREGRESSIVE = "autoregressive on VQ codes"
GENERATORS = (
    Row(AUTOREGRESSIVE, "digits.py"),
    Row(
        "masked on VQ codes",
        "digits.py:prior=masked",
        {"train.abstraction.init_from": f"{{{AUTOREGRESSIVE}}}"},
    ),
    Row("diffusion on KL latents", "digits.py:abstraction=kl"),
)
STUDIES = (
    Study("abstractions", ROWS, COLUMNS, shared=("judge",)),
    Study(
        "generators",
        GENERATORS,
        (ACCURACY, FRECHET, REAL, BITS, CALLS, SECONDS),
        shared=("judge",),
    ),
)

if __name__ == "__main__":
    main(*STUDIES)
