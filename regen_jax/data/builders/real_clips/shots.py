"""Shots of a video, and its parts by time."""

import itertools

import numpy as np

HELD_OUT_FRACTION = 1 / 6
CUT_DIFFERENCE = 24.0
"""Mean absolute difference of neighboring frames, of 255, above which a shot ends."""
_BLOCK = 8


def shots(frames: np.ndarray) -> list[range]:
    """Returns the shots of a video u8[T, H, W, 3], as ranges of its frames.

    A shot ends where frames averaged over blocks of 8 x 8 pixels differ by more than
    `CUT_DIFFERENCE`: noise and small motion average out.
    """
    height, width = (n // _BLOCK * _BLOCK for n in frames.shape[1:3])
    blocks = frames[:, :height, :width].reshape(
        len(frames), height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, 3
    )
    means = blocks.mean(axis=(2, 4))
    differences = np.abs(np.diff(means, axis=0)).mean(axis=(1, 2, 3))
    cuts = [0, *(np.flatnonzero(differences > CUT_DIFFERENCE) + 1), len(frames)]
    return [range(int(a), int(b)) for a, b in itertools.pairwise(cuts)]


def split_by_time(num_frames: int, gap: int) -> dict[str, range]:
    """Returns the frames of each split: the last sixth is `test`.

    `validation` is as long, and `gap` frames before either are in no split.
    """
    held_out = round(HELD_OUT_FRACTION * num_frames)
    test = range(num_frames - held_out, num_frames)
    validation = range(test.start - gap - held_out, test.start - gap)
    train = range(0, validation.start - gap)
    return {"train": train, "validation": validation, "test": test}
