"""Sinusoids against their formula, and positions on a grid."""

import numpy as np
import pytest

from regen_jax.networks.sinusoids import grid_positions, sinusoids


def test_sinusoids_match_their_formula():
    positions = np.array([0.0, 1.0, 7.5])
    expected = [
        [np.cos(p), np.cos(p / 100), np.sin(p), np.sin(p / 100)] for p in positions
    ]
    np.testing.assert_allclose(sinusoids(positions, 4), expected, atol=1e-6)


@pytest.mark.parametrize(("grid", "width"), [((), 6), ((5,), 7), ((3, 4), 10)])
def test_grid_positions_are_distinct(grid, width):
    table = np.asarray(grid_positions(grid, width))
    assert table.shape == (np.prod(grid, dtype=int), width)
    assert len(np.unique(table.round(6), axis=0)) == len(table)
