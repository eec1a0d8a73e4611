"""Dynamic time warping: the best monotone alignment of two sequences.

Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition"
(1978), with steps of one in either sequence or both, all of weight 1.
"""

import numpy as np


def warp(cost: np.ndarray) -> tuple[float, np.ndarray]:
    """The monotone path of least total cost from one corner to the other.

    Arguments:
      cost: float [N, M], of pairing each position of one sequence with each of the other.

    Returns:
      The total cost, and the path int64[K, 2] of pairs from (0, 0) to (N - 1, M - 1);
      among equals the one that moves in both sequences where it can.

    Raises:
      ValueError: unless both sequences have a position.
    """
    cost = np.asarray(cost, np.float64)
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(f"cost must be [N >= 1, M >= 1], not {list(cost.shape)}")
    rows, columns = cost.shape
    # A diagonal depends on the two before it alone, so each is computed at once. `total`
    # has a border of infinities in front: entry [i + 1, j + 1] belongs to cost [i, j].
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        before = np.minimum(total[i, j], np.minimum(total[i, j + 1], total[i + 1, j]))
        total[i + 1, j + 1] = cost[i, j] + before
    return float(total[rows, columns]), _path(total)


def _path(total: np.ndarray) -> np.ndarray:
    """Back along the totals [N + 1, M + 1], from the last corner."""
    i, j = total.shape[0] - 1, total.shape[1] - 1
    path = [(i - 1, j - 1)]
    while i > 1 or j > 1:
        i, j = min(
            ((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda before: total[before]
        )
        path.append((i - 1, j - 1))
    return np.array(path[::-1])
