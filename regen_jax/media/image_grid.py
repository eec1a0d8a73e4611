"""Pictures for people to look at: grids of images, spectrograms, alignments, and PNG."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _FRAME = 255, 40, 200
_TEXT_SIZE = 14
# Five of the colours of matplotlib's map "magma", which brightens evenly to the eye.
_COLOURS = np.array(
    [(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)],
    np.float32,
)
_LEAST_SIDE = 256


def grid(
    images: np.ndarray,
    columns: int,
    *,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    captions: Sequence[str] = (),
    scale: int = 2,
    gap: int = 6,
) -> np.ndarray:
    """Lays out images row by row on white, each in a thin frame.

    Texts are drawn in Pillow's default font, which has the letters of ASCII only.

    Arguments:
      images: uint8 [N, H, W, C] with 1 or 3 channels.
      columns: images in a row; the last row may be shorter.
      row_labels: text at the left of each row, or none.
      column_labels: text above each column, or none.
      captions: text below each image, cut to its width, or none.
      scale: how many pixels a pixel becomes each way.
      gap: pixels between images, and around them all.

    Returns:
      uint8 [H', W', C].

    Raises:
      ValueError: for other arrays, or a number of texts that does not match.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            "grid needs uint8 [N, H, W, 1 or 3], "
            f"not {images.dtype} {list(images.shape)}"
        )
    if columns < 1 or scale < 1:
        raise ValueError(f"grid needs columns and scale >= 1, not {columns}, {scale}")
    rows = math.ceil(len(images) / columns)
    for name, texts, count in (
        ("row_labels", row_labels, rows),
        ("column_labels", column_labels, columns),
        ("captions", captions, len(images)),
    ):
        if len(texts) not in (0, count):
            raise ValueError(f"grid needs {count} {name}, not {len(texts)}")

    font = ImageFont.load_default(_TEXT_SIZE)
    line = _TEXT_SIZE + 4
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    _, height, width, channels = images.shape
    left = gap + max(
        (math.ceil(font.getlength(t)) + gap for t in row_labels), default=0
    )
    top = gap + (line + 2 if column_labels else 0)
    step_y = height + gap + (line if captions else 0)
    step_x = width + gap

    def corner(index: int) -> tuple[int, int]:
        return left + index % columns * step_x, top + index // columns * step_y

    size = (left + columns * step_x, top + rows * step_y)
    paper = Image.new("L" if channels == 1 else "RGB", size, (_PAPER,) * channels)
    draw = ImageDraw.Draw(paper)
    ink, frame = (_INK,) * channels, (_FRAME,) * channels
    for index, image in enumerate(images):
        x, y = corner(index)
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline=frame)
        paper.paste(
            Image.fromarray(image.squeeze(-1) if channels == 1 else image), (x, y)
        )
    for row, text in enumerate(row_labels):
        y = corner(row * columns)[1] + height / 2
        draw.text((left - gap, y), text, ink, font, anchor="rm")
    for column, text in enumerate(column_labels):
        x = corner(column)[0] + width / 2
        draw.text((x, top - gap / 2), text, ink, font, anchor="mb")
    for index, text in enumerate(captions):
        x, y = corner(index)
        text = _fit(text, font, step_x - 2)
        draw.text((x + width / 2, y + height + line / 2), text, ink, font, anchor="mm")
    return np.asarray(paper).reshape(size[1], size[0], channels)


def spectrogram_picture(
    mels: Sequence[np.ndarray],
    labels: Sequence[str],
    columns: int = 1,
    *,
    low: float = -11.5,
    high: float = 1.5,
    scale: int = 2,
) -> np.ndarray:
    """Rows of spectrograms above their labels: time to the right, frequency upwards.

    Arguments:
      mels: float [T, bands] each, of as many bands; T may differ.
      labels: a text for each, cut to its width.
      columns: how many spectrograms make a row.
      low: the value that is darkest, and high: the one that is brightest. The defaults
        span the log-mel magnitudes of speech, so that pictures compare.
      scale: how many pixels a value becomes each way.

    Returns:
      uint8 [H, W, 3]. Shorter ones end in white.

    Raises:
      ValueError: for other shapes, or a number of labels that does not match.
    """
    shapes = [np.shape(mel) for mel in mels]
    if not mels or any(len(s) != 2 or s[1] != shapes[0][1] for s in shapes):
        raise ValueError(
            "spectrogram_picture needs one or more [T, bands] of as many bands, "
            f"not {shapes}"
        )
    width = max(1, max(frames for frames, _ in shapes))
    images = np.full((len(mels), shapes[0][1], width, 3), _PAPER, np.uint8)
    for image, mel in zip(images, mels, strict=True):
        unit = (np.asarray(mel, np.float32) - low) / (high - low)
        image[:, : len(mel)] = _colours(unit).swapaxes(0, 1)[::-1]
    return grid(images, columns, captions=labels, scale=scale)


def alignment_picture(weights: np.ndarray) -> np.ndarray:
    """Where each position of a target looks in its source, brightest where most.

    Arguments:
      weights: float [L, S], not negative; the picture has the L to the right and the S
        upwards.

    Returns:
      uint8 [H, W, 3], enlarged where it would be small.

    Raises:
      ValueError: for other shapes.
    """
    weights = np.asarray(weights, np.float32)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(f"alignment_picture needs [L, S], not {list(weights.shape)}")
    top = np.nanmax(weights, initial=0.0)
    image = _colours(weights / (top if top > 0 else 1.0)).swapaxes(0, 1)[::-1]
    return grid(image[None], 1, scale=max(1, _LEAST_SIDE // max(weights.shape)))


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Writes uint8 [H, W, C] with 1, 3 or 4 channels, as small as PNG goes."""
    image = image.squeeze(-1) if image.shape[-1] == 1 else image
    Image.fromarray(image).save(path, format="PNG", optimize=True)


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def _colours(values: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] of values float [...], darkest at 0 or less or where not a number."""
    unit = np.clip(np.nan_to_num(values, nan=0.0), 0, 1)
    points = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(unit, points, channel) for channel in _COLOURS.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
