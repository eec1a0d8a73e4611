"""Caption → latents → image: python -m experiments.emoji.run --workdir=runs/x."""

from experiments.study import FRECHET, Column, Row, Study, fractions, main

ROWS = (Row("diffusion", "emoji.py"),)
RANKS = {
    f"{prefix}caption_top{k}": f"top {k}, {captions}"
    for prefix, captions in {"": "learned", "held_out_": "held out"}.items()
    for k in (5, 1)
}
COLUMNS = (
    *fractions(RANKS, {"samples": "", "real": "real: "}),
    FRECHET,
    Column("nearest training image", "samples/nearest_training"),
    Column("PSNR", "abstraction/psnr", "{:.1f} dB"),
)
STUDY = Study("captions", ROWS, COLUMNS)

if __name__ == "__main__":
    main(STUDY)
