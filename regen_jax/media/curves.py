"""Curves over time as pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_COLORS = ((214, 88, 40), (40, 104, 178), (60, 150, 90), (150, 80, 160))
_INK, _LINE, _FONT_SIZE = (40, 40, 40), (222, 222, 222), 14
_LEFT, _TOP, _GAP = 96, 26, 10


def render_curves(
    panels: Sequence[Mapping[str, np.ndarray]],
    labels: Sequence[str],
    *,
    low: float = 0.0,
    high: float = 1.0,
    width: int = 640,
    height: int = 72,
) -> np.ndarray:
    """Draws curves in panels below one another, time to the right.

    Args:
      panels: curves f[T] by name; those of a name have one color in all panels.
      labels: text at the left of each panel, in ASCII.
      low: value at the bottom of a panel.
      high: value at its top.
      width: of a panel in pixels.
      height: of a panel in pixels.

    Returns:
      u8[H, W, 3].

    Raises:
      ValueError: there are no panels, or the number of labels differs.
    """
    if not panels or len(panels) != len(labels):
        raise ValueError(f"{len(panels)} panels of curves have {len(labels)} labels")
    names = list(dict.fromkeys(name for panel in panels for name in panel))
    colors = {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(names)}
    size = (_LEFT + width + _GAP, _TOP + len(panels) * (height + _GAP))
    canvas = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_FONT_SIZE)
    for index, name in enumerate(names):
        draw.text((_LEFT + 150 * index, 5), name, colors[name], font)
    for index, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        top = _TOP + index * (height + _GAP)
        draw.rectangle((_LEFT, top, _LEFT + width, top + height), outline=_LINE)
        draw.text((6, top + height / 2), label, _INK, font, anchor="lm")
        longest = max(map(len, panel.values()), default=0)
        for name, curve in panel.items():
            share = np.clip((np.asarray(curve, float) - low) / (high - low), 0, 1)
            x = _LEFT + width * np.arange(len(share)) / max(longest - 1, 1)
            y = top + height * (1 - share)
            draw.line(list(zip(x, y, strict=True)), fill=colors[name], width=2)
    return np.asarray(canvas)
