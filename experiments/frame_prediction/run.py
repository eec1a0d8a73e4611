"""First frames → the next ones: python -m experiments.frame_prediction.run --workdir=x."""

from experiments.study import Column, Row, Study, main

RULES = {"copying": "baseline/copy_", "linear motion": "baseline/linear_"}
COLUMNS = (
    Column("PSNR", "samples/psnr", "{:.2f} dB"),
    *(Column(f"{k}: PSNR", f"{v}psnr", "{:.2f} dB") for k, v in RULES.items()),
    Column("from true Y′", "true_y_prime/psnr", "{:.2f} dB"),
    Column("SSIM", "samples/ssim", "{:.3f}"),
    *(Column(f"{k}: SSIM", f"{v}ssim", "{:.3f}") for k, v in RULES.items()),
)
FILES = tuple(
    Column(f"PSNR, {name}", f"samples/psnr_{name}", "{:.2f} dB")
    for name in ("carphone", "bikes", "bigbuckbunny")
)
STUDIES = (
    Study(
        "moving_digits",
        (Row("direct", "real_clips.py:data=moving_digits"),),
        COLUMNS,
    ),
    Study(
        "real_clips",
        (
            Row("direct", "real_clips.py"),
            Row("key frames", "real_clips.py:abstraction=keyframes"),
        ),
        COLUMNS + FILES,
    ),
)

if __name__ == "__main__":
    main(*STUDIES)
