"""Rules by which pictures move through a clip, on a grid of whole cells.

A picture is at whole cells in every frame, as in Moving MNIST (Srivastava et al., arXiv
1502.04681): each frame holds its pixels unchanged, and a track inverts exactly.
"""

from collections.abc import Sequence

import numpy as np

from regen_jax.modalities.video.captions import DIRECTIONS, MOTIONS

GRID = 32
"""Cells of the height and of the width of a clip."""
NUM_FRAMES = 16

_TRIALS = 20
_AXES = {"left": (1, -1), "right": (1, 1), "up": (0, -1), "down": (0, 1)}
"""Axis of the grid, and the direction along it."""


def draw_track(
    motion: int, size: tuple[int, int], random: np.random.RandomState
) -> np.ndarray:
    """Draws where a picture is in each frame.

    `moves`: at a constant speed over 10 to 20 cells. `and bounces`: from 8 to 18 cells
    before a wall to it, and back at the same speed, from frame 6 to 10 on. `falls`: from
    rest over 10 cells or more with a constant acceleration, until it lies on the floor
    from frame 9 to 14 on. `stands still`: at one place.

    Args:
      motion: index in `MOTIONS`.
      size: height and width of the picture in cells, at most 22.
      random: of all that the rule leaves open, each drawn uniformly.

    Returns:
      i64[NUM_FRAMES, 2], row and column of the upper left corner, within the grid.
    """
    room = [GRID - length for length in size]
    track = np.empty((NUM_FRAMES, 2), np.int64)
    track[:] = [random.randint(0, most + 1) for most in room]
    name, frames = MOTIONS[motion], np.arange(NUM_FRAMES)
    if name == "falls":
        height = random.randint(10, room[0] + 1)
        landing = random.uniform(9, 14)
        fallen = height * np.minimum(frames / landing, 1) ** 2
        track[:, 0] = np.round(room[0] - height + fallen)
    for direction in DIRECTIONS if name.startswith("moves") else ():
        if direction in name.split():
            axis, sign = _AXES[direction]
            path = (_bounce if "bounces" in name else _move)(room[axis], random)
            # The path ends or turns at cell 0; the other direction is its mirror image.
            track[:, axis] = path if sign < 0 else room[axis] - path
    return track


def _move(room: int, random: np.random.RandomState) -> np.ndarray:
    """Returns i64[NUM_FRAMES], cells from `room` or less down to 0 or more."""
    distance = random.randint(10, min(room, 20) + 1)
    start = random.randint(distance, room + 1)
    return np.round(np.linspace(start, start - distance, NUM_FRAMES)).astype(np.int64)


def _bounce(room: int, random: np.random.RandomState) -> np.ndarray:
    """Returns i64[NUM_FRAMES], cells down to 0 and up to `room` or less."""
    distance = random.randint(8, min(room, 18) + 1)
    last = NUM_FRAMES - 1
    # Not so early that it would reach the other wall.
    contact = random.uniform(max(6, last * distance / (room + distance)), 10)
    cells = distance - distance / contact * np.arange(NUM_FRAMES)
    return np.round(np.abs(cells)).astype(np.int64)


def draw_tracks(
    motions: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    random: np.random.RandomState,
) -> list[np.ndarray]:
    """Draws the tracks of the pictures of a clip.

    Of 20 draws it is the first in which the rectangles of no two pictures overlap in any
    frame, or else the one that overlaps least.
    """
    best: list[np.ndarray] = []
    least = np.inf
    for _ in range(_TRIALS):
        tracks = [
            draw_track(motion, size, random)
            for motion, size in zip(motions, sizes, strict=True)
        ]
        overlap = overlap_area(tracks, sizes)
        if overlap < least:
            best, least = tracks, overlap
        if not least:
            break
    return best


def overlap_area(tracks: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]) -> int:
    """Returns the cells that the rectangles of two pictures share, over all frames."""
    total = 0
    for i, j in zip(*np.triu_indices(len(tracks), 1), strict=True):
        start = np.maximum(tracks[i], tracks[j])
        end = np.minimum(tracks[i] + sizes[i], tracks[j] + sizes[j])
        total += int(np.prod(np.maximum(end - start, 0), axis=1).sum())
    return total


def render(
    pictures: Sequence[np.ndarray], tracks: Sequence[np.ndarray], scale: int = 1
) -> np.ndarray:
    """Draws pictures along their tracks; where they overlap, the brightest pixel shows.

    Args:
      pictures: u8[h, w] each, of `scale` pixels per cell.
      tracks: i64[T, 2] each, in cells.
      scale: pixels per cell.

    Returns:
      u8[T, GRID * scale, GRID * scale].
    """
    side = GRID * scale
    frames = np.zeros((len(tracks[0]), side, side), np.uint8)
    for picture, track in zip(pictures, tracks, strict=True):
        height, width = picture.shape
        for frame, (row, column) in zip(frames, track * scale, strict=True):
            region = frame[row : row + height, column : column + width]
            np.maximum(region, picture, out=region)
    return frames
