"""First frames → the next ones: python -m experiments.frame_prediction.run --workdir=x."""

from experiments.study import Column, Row, Study, main

_PARTS = (("", "samples"), ("copy: ", "baseline/copy"), ("linear: ", "baseline/linear"))


def columns(*suffixes: str) -> tuple[Column, ...]:
    """Returns columns of PSNR, of clips of each suffix, and of SSIM."""
    names = [(s.replace("_", " "), f"psnr{s}", "{:.2f} dB") for s in ("", *suffixes)]
    names = [(f"PSNR{s}", key, style) for s, key, style in names]
    names.append(("SSIM", "ssim", "{:.3f}"))
    return tuple(
        Column(
            f"{title}{name}", f"{part}{'/' if part == 'samples' else '_'}{key}", style
        )
        for name, key, style in names
        for title, part in _PARTS
    )


STUDIES = (
    Study(
        "moving_digits",
        (Row("direct", "real_clips.py:data=moving_digits"),),
        columns(),
    ),
    Study(
        "real_clips",
        (
            Row("direct", "real_clips.py"),
            Row("key frames", "real_clips.py:abstraction=keyframes"),
        ),
        columns("_carphone", "_bikes", "_bigbuckbunny"),
    ),
)

if __name__ == "__main__":
    main(*STUDIES)
