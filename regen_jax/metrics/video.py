"""Metrics of clips: motion that blocks explain, and parts matched in any order."""

import itertools
from typing import NamedTuple

import numpy as np


class Hits(NamedTuple):
    """Which parts of clips are right.

    Attributes:
      digits: bool[N, P], whether the recognized digit is that of the caption's part.
      motions: bool[N, P], whether its motion is.
    """

    digits: np.ndarray
    motions: np.ndarray


def match_parts(
    digits: np.ndarray,
    motions: np.ndarray,
    true_digits: np.ndarray,
    true_motions: np.ndarray,
) -> Hits:
    """Matches the parts recognized in clips to those asked for, in any order.

    Of all ways to match them, it is the one with the most right digits, and among these
    the most right motions. So where digits are right, a motion counts with its digit alone.

    Args:
      digits: int[N, P], recognized; -1 where there is none.
      motions: int[N, P], those of the recognized digits.
      true_digits: int[N, P], asked for; -1 where there is none.
      true_motions: int[N, P].

    Returns:
      Hits of the parts asked for, in their order; False where there is none.
    """
    is_part = true_digits >= 0
    candidates = []
    for order in itertools.permutations(range(digits.shape[1])):
        columns = list(order)
        digit_hits = (digits[:, columns] == true_digits) & is_part
        motion_hits = (motions[:, columns] == true_motions) & is_part
        candidates.append((digit_hits, motion_hits))
    hits = np.array(candidates)  # [orders, digits and motions, N, P]
    num_digits, num_motions = hits.sum(axis=-1).swapaxes(0, 1)
    best = (num_digits * (digits.shape[1] + 1) + num_motions).argmax(axis=0)
    return Hits(*hits[best, :, np.arange(len(digits))].swapaxes(0, 1))


def warping_error(
    clips: np.ndarray, block: int = 8, radius: int = 5, peak: float = 255.0
) -> np.ndarray:
    """Computes how badly each frame is explained by motion of the one before it.

    Each block of a frame is predicted by the most similar block of the previous frame
    within `radius` pixels, by exhaustive search for the least squared error; beyond its
    border, a frame goes on with its border pixels. It is the root of the mean squared
    error of this prediction over all pixels of all frames but the first. A clip that
    flickers, or whose objects change shape, has a large one; a still clip has 0.

    Args:
      clips: [N, T, H, W, C] of two frames or more; `block` divides H and W.
      block: side of the blocks in pixels.
      radius: the largest displacement on each axis in pixels.
      peak: width of the range of values.

    Returns:
      f64[N], in units of the range.
    """
    clips = np.asarray(clips, np.float32)
    number, frames, height, width, channels = clips.shape
    widths = ((0, 0), (0, 0), (radius, radius), (radius, radius), (0, 0))
    before = np.pad(clips[:, :-1], widths, mode="edge")
    grid = (number, frames - 1, height // block, block, width // block, block, channels)
    least = np.full((*grid[:3], grid[4]), np.inf, np.float32)
    for row, column in np.ndindex(2 * radius + 1, 2 * radius + 1):
        moved = before[:, :, row : row + height, column : column + width]
        error = np.square(moved - clips[:, 1:]).reshape(grid).sum(axis=(3, 5, 6))
        np.minimum(least, error, out=least)
    total = least.sum(axis=(1, 2, 3), dtype=np.float64)
    return np.sqrt(total / ((frames - 1) * height * width * channels)) / peak
