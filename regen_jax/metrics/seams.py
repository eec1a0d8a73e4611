"""Seams of sequences that were generated in chunks."""

from collections.abc import Sequence

import numpy as np


def seam_ratio(
    values: np.ndarray, starts: Sequence[int], width: int, length: int | None = None
) -> float | None:
    """Computes how much larger steps are where chunks are joined than elsewhere.

    A step is the root mean square of the difference of neighboring frames.

    Args:
      values: f[T, ...], frames.
      starts: first frames of all chunks but the first one.
      width: frames from each start on that chunks share, 0 where they share none.
      length: number of valid frames; None for all.

    Returns:
      The root mean square of steps into and within those frames, and out of them, over
      that of all other steps. 1 is no seam. None where either has no steps, or the others
      are 0.
    """
    values = np.asarray(values, np.float64)[:length]
    differences = np.diff(values.reshape(len(values), -1), axis=0)
    squares = np.square(differences).mean(axis=1)
    joined = np.zeros(len(squares), bool)
    for start in starts:
        # Step i leads from frame i to frame i + 1.
        joined[max(start - 1, 0) : start + width] = True
    if joined.all() or not joined.any() or not squares[~joined].any():
        return None
    return float(np.sqrt(squares[joined].mean() / squares[~joined].mean()))
