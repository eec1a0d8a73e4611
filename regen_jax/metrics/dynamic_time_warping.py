"""Dynamic time warping: the optimal monotonic alignment of two sequences.

Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition"
(1978), with steps of one in either sequence or both, all of weight 1.
"""

import numpy as np


def dtw(cost: np.ndarray) -> tuple[float, np.ndarray]:
    """Finds the monotonic path of least total cost between opposite corners.

    Args:
      cost: float[N, M], cost of aligning each position of one sequence with each of the
        other.

    Returns:
      The total cost, and the path i64[K, 2] of index pairs from (0, 0) to
      (N - 1, M - 1). Of equally good paths it is the one that advances in both sequences
      where possible.

    Raises:
      ValueError: a sequence is empty.
    """
    cost = np.asarray(cost, np.float64)
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(f"cost must be [N >= 1, M >= 1], not {list(cost.shape)}")
    rows, columns = cost.shape
    # A diagonal depends only on the two before it, so each is computed at once. `total`
    # has a leading border of infinities: entry [i + 1, j + 1] belongs to cost [i, j].
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        best = np.minimum(total[i, j], np.minimum(total[i, j + 1], total[i + 1, j]))
        total[i + 1, j + 1] = cost[i, j] + best
    return float(total[rows, columns]), _backtrack(total)


def _backtrack(total: np.ndarray) -> np.ndarray:
    """Traces the best path back through totals f64[N + 1, M + 1]."""
    i, j = total.shape[0] - 1, total.shape[1] - 1
    path = [(i - 1, j - 1)]
    while i > 1 or j > 1:
        predecessors = (i - 1, j - 1), (i - 1, j), (i, j - 1)
        i, j = min(predecessors, key=lambda predecessor: total[predecessor])
        path.append((i - 1, j - 1))
    return np.array(path[::-1])
