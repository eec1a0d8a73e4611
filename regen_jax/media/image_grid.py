"""Grids of labeled images."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = 255
"""Value of all channels where a grid shows no image: white."""

_INK, _FRAME = 40, 200
_FONT_SIZE = 14
_MAX_LINES = 3
"""Of a caption; a long one names two digits of a clip, each with its motion."""


def image_grid(
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

    Texts are drawn in Pillow's default font, which has only ASCII letters.

    Args:
      images: u8[N, H, W, C] with 1 or 3 channels.
      columns: images per row; the last row may be shorter.
      row_labels: text at the left of each row, or empty.
      column_labels: text above each column, or empty.
      captions: text below each image, or empty. What is wider than an image is wrapped
        into `_MAX_LINES` lines at most, and then truncated.
      scale: integer factor by which images are enlarged.
      gap: pixels between images and at the borders.

    Returns:
      u8[H', W', C].

    Raises:
      ValueError: the images have another shape or dtype, or a number of texts does not
        match.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            "image_grid needs uint8 [N, H, W, 1 or 3], "
            f"not {images.dtype} {list(images.shape)}"
        )
    if columns < 1 or scale < 1:
        raise ValueError(
            f"image_grid needs columns and scale >= 1, not {columns}, {scale}"
        )
    rows = math.ceil(len(images) / columns)
    for name, texts, count in (
        ("row_labels", row_labels, rows),
        ("column_labels", column_labels, columns),
        ("captions", captions, len(images)),
    ):
        if len(texts) not in (0, count):
            raise ValueError(f"image_grid needs {count} {name}, not {len(texts)}")

    font = ImageFont.load_default(_FONT_SIZE)
    line_height = _FONT_SIZE + 4
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    _, height, width, channels = images.shape
    left = gap + max(
        (math.ceil(font.getlength(label)) + gap for label in row_labels), default=0
    )
    top = gap + (line_height + 2 if column_labels else 0)
    step_x = width + gap
    wrapped = [_wrap(text, font, step_x - 2) for text in captions]
    step_y = height + gap + line_height * max(map(len, wrapped), default=0)

    def corner(index: int) -> tuple[int, int]:
        return left + index % columns * step_x, top + index // columns * step_y

    size = (left + columns * step_x, top + rows * step_y)
    mode = "L" if channels == 1 else "RGB"
    canvas = Image.new(mode, size, (BACKGROUND,) * channels)
    draw = ImageDraw.Draw(canvas)
    ink, frame = (_INK,) * channels, (_FRAME,) * channels
    for index, image in enumerate(images):
        x, y = corner(index)
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline=frame)
        canvas.paste(
            Image.fromarray(image.squeeze(-1) if channels == 1 else image), (x, y)
        )
    for row, text in enumerate(row_labels):
        y = corner(row * columns)[1] + height / 2
        draw.text((left - gap, y), text, ink, font, anchor="rm")
    for column, text in enumerate(column_labels):
        x = corner(column)[0] + width / 2
        draw.text((x, top - gap / 2), text, ink, font, anchor="mb")
    for index, lines in enumerate(wrapped):
        x, y = corner(index)
        for number, line in enumerate(lines):
            center = x + width / 2, y + height + (number + 0.5) * line_height
            draw.text(center, line, ink, font, anchor="mm")
    return np.asarray(canvas).reshape(size[1], size[0], channels)


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Breaks a text between words into lines of a width in pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        is_full = lines[-1] and font.getlength(longer) > width
        if is_full and len(lines) < _MAX_LINES:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_truncate(line, font, width) for line in lines]


def _truncate(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shortens a text to a width in pixels, with an ellipsis at its end."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
