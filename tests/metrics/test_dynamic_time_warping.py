import numpy as np
import pytest

from regen_jax.metrics.dynamic_time_warping import dtw


def paths(rows, columns):
    """Enumerates all monotonic paths from (0, 0) to the opposite corner."""

    def extended(path):
        i, j = path[-1]
        if (i, j) == (rows - 1, columns - 1):
            yield path
        for step in ((i + 1, j + 1), (i + 1, j), (i, j + 1)):
            if step[0] < rows and step[1] < columns:
                yield from extended([*path, step])

    return list(extended([(0, 0)]))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (4, 1), (4, 4), (3, 5)])
def test_path_is_the_best_of_all_paths(rows, columns):
    for seed in range(8):
        cost = np.random.default_rng(seed).normal(size=(rows, columns))
        candidates = paths(rows, columns)
        totals = [sum(cost[pair] for pair in path) for path in candidates]
        total, path = dtw(cost)
        assert total == pytest.approx(min(totals))
        assert path.tolist() == [list(p) for p in candidates[int(np.argmin(totals))]]


def test_equal_sequences_align_one_to_one():
    values = np.array([0.0, 1.0, 1.0, 5.0])
    total, path = dtw(np.abs(values[:, None] - values))
    assert total == 0
    assert path.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_slower_copy_has_cost_0():
    values = np.random.default_rng(0).normal(size=6)
    slow = np.repeat(values, [1, 3, 1, 2, 1, 4])
    total, path = dtw(np.abs(values[:, None] - slow))
    assert total == 0
    np.testing.assert_array_equal(values[path[:, 0]], slow[path[:, 1]])


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_empty_cost_raises_value_error(shape):
    with pytest.raises(ValueError, match="cost must be"):
        dtw(np.zeros(shape))
