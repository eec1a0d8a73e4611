"""Class → image by each abstraction: python -m experiments.digits.run --workdir=runs/x."""

from experiments.study import Column, Row, main

ROWS = (
    Row("VQ codes", "digits.py"),
    Row("FSQ codes", "digits.py:abstraction=fsq"),
    Row("residual VQ codes", "digits.py:abstraction=rvq"),
    Row("7 × 7 pixels", "digits.py:abstraction=downsample"),
    Row("direct", "digits.py:abstraction=identity"),
)
COLUMNS = (
    Column("judge's accuracy", "samples/accuracy", "{:.1%}"),
    Column("Fréchet distance", "samples/frechet", "{:.1f}"),
    Column("real images", "real/frechet", "{:.1f}"),
    Column("nearest training image", "samples/nearest_training"),
    Column("PSNR", "abstraction/psnr", "{:.1f} dB"),
)

if __name__ == "__main__":
    main("abstractions", ROWS, COLUMNS)
