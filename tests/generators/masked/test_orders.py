"""The order in which masked tokens are revealed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

from regen_jax.generators.masked.masked import Masked
from regen_jax.generators.masked.orders.confidence import Confidence
from regen_jax.generators.masked.orders.halton import Halton, halton_order
from regen_jax.generators.masked.unmasking import descending_ranks
from regen_jax.spaces import Category, Tokens

KEYS = jax.random.split(jax.random.key(0), 3)


def visited_cells(grid: tuple[int, ...]) -> list[int]:
    """Cells in order of their first visit by SciPy's Halton points, the origin left out."""
    points = scipy.stats.qmc.Halton(len(grid), scramble=False).random(5000)[1:]
    cells = np.ravel_multi_index(np.int64(points * grid).T, grid).tolist()
    return list(dict.fromkeys(cells))


@pytest.mark.parametrize("grid", [(49,), (7, 7), (3, 5), (4, 4, 3), (6, 1)])
def test_halton_order_visits_each_cell_once_as_scipy_does(grid):
    order = halton_order(grid).tolist()
    assert sorted(order) == list(range(np.prod(grid)))
    assert order == visited_cells(grid)


def test_order_of_sequence_is_van_der_corput():
    assert halton_order((8,)).tolist() == [4, 2, 6, 1, 5, 3, 7, 0]


def test_first_halton_cells_spread_over_the_grid():
    rows, columns = np.divmod(halton_order((8, 9))[:6], 9)
    # One of each pair of 2 × 3 blocks: the first six points are a lattice.
    assert (
        len(set(zip((rows // 4).tolist(), (columns // 3).tolist(), strict=True))) == 6
    )


def halton_ranks(space: Tokens) -> np.ndarray:
    log_probs = jnp.zeros((3, *space.shape))
    return np.asarray(descending_ranks(Halton().scores(space, KEYS, log_probs, 0.5)))


def test_halton_reveals_grid_and_levels_in_order():
    space = Tokens(6, 5, depth=2, grid=(2, 3))
    ranks = halton_ranks(space)
    assert ranks.shape == (3, 6, 2)
    np.testing.assert_array_equal(ranks[0], ranks[1])
    # The first level of all positions, then the second.
    np.testing.assert_array_equal(np.argsort(ranks[0, :, 0]), halton_order((2, 3)))
    np.testing.assert_array_equal(ranks[0, :, 1], 6 + ranks[0, :, 0])
    flat = halton_ranks(Tokens(6, 5))
    np.testing.assert_array_equal(np.argsort(flat[0]), halton_order((6,)))


def test_confidence_adds_annealed_gumbel_noise():
    space, number = Tokens(4, 5), 4000
    log_probs = jnp.broadcast_to(jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4])), (number, 4))
    keys = jax.random.split(jax.random.key(1), number)
    scores = Confidence(noise=2.0).scores(space, keys, log_probs, jnp.float32(0.25))
    noise = np.asarray(scores - log_probs) / 1.5
    # Mean and deviation of a standard Gumbel distribution: γ and π/√6.
    assert abs(noise.mean() - 0.5772) < 0.05 and abs(noise.std() - 1.2825) < 0.05
    assert len(np.unique(noise)) > number
    last = Confidence(noise=2.0).scores(space, keys, log_probs, jnp.float32(1))
    np.testing.assert_array_equal(last, log_probs)


def test_rank_of_the_highest_is_zero_and_ties_keep_their_order():
    ranks = descending_ranks(jnp.array([[2.0, 5.0, 2.0, jnp.inf]]))
    assert ranks.tolist() == [[2, 1, 3, 0]]


def test_grid_of_many_axes_raises_value_error():
    space = Tokens(128, 5, grid=(2,) * 7)
    message = (
        r"order 'halton' needs a grid of at most 6 axes, not \(2, 2, 2, 2, 2, 2, 2\)"
    )
    with pytest.raises(ValueError, match=message):
        Masked(Category(3), space, order=Halton())
    Masked(Category(3), Tokens(64, 5, grid=(2,) * 6), order=Halton())
    Masked(Category(3), space)


def test_negative_noise_raises_value_error():
    with pytest.raises(ValueError, match=r"noise must be 0 or more, not -1\.0"):
        Confidence(-1.0)
