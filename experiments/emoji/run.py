"""Caption → latents → image: python -m experiments.emoji.run --workdir=runs/x."""

from experiments.study import Column, Row, Study, fractions, main

ROWS = (Row("diffusion", "emoji.py"),)
_PARTS = {"samples": "", "real": "real: "}
_METRICS = {
    "caption_top5": "top 5, learned",
    "caption_top1": "top 1, learned",
    "held_out_caption_top5": "top 5, held out",
    "held_out_caption_top1": "top 1, held out",
}
COLUMNS = (
    *fractions(_PARTS, _METRICS),
    Column("Fréchet distance", "samples/frechet", "{:.1f}", "samples/frechet_std"),
    Column("nearest training image", "samples/nearest_training"),
    Column("PSNR", "abstraction/psnr", "{:.1f} dB"),
)
STUDY = Study("captions", ROWS, COLUMNS)

if __name__ == "__main__":
    main(STUDY)
