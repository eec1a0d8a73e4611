import numpy as np
import pytest

from regen_jax.metrics.seams import seam_ratio


def test_sequence_of_equal_steps_has_a_ratio_of_1():
    values = np.stack([np.arange(10.0), -np.arange(10.0)], axis=1)
    assert seam_ratio(values, [4, 7], 2) == pytest.approx(1)


@pytest.mark.parametrize(("width", "expected"), [(0, 5), (2, np.sqrt(27 / 3))])
def test_jump_counts_where_chunks_are_joined(width, expected):
    values = np.arange(10.0)
    values[4:] += 4
    assert seam_ratio(values, [4], width) == pytest.approx(expected)
    # Padding is no part of it.
    padded = np.concatenate([values, np.zeros(5)])
    assert seam_ratio(padded, [4], width, 10) == pytest.approx(expected)


@pytest.mark.parametrize("values", [np.zeros(9), np.arange(3.0)])
def test_ratio_without_other_steps_is_none(values):
    assert seam_ratio(values, [1], 3) is None
    assert seam_ratio(values, [], 3) is None
