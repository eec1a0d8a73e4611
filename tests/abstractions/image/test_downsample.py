import numpy as np
import pytest

from regen_jax.abstractions.image.downsample import Downsample
from regen_jax.spaces import Array, Category, to_dtype
from tests.errors import value_error


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((6, 4, 3), 2), ((6, 9, 1), 3), ((8, 2), 4), ((4, 4, 2, 1), 2)],
)
def test_encode_is_the_mean_of_each_block(shape, factor):
    space = Array(shape, 0.0, 9.0)
    y = np.random.default_rng(0).uniform(0, 9, (2, *shape)).astype(np.float32)
    found = Downsample(space, factor).encode({}, y)
    *grid, channels = shape
    expected = np.empty((2, *(n // factor for n in grid), channels))
    for index in np.ndindex(expected.shape[1:-1]):
        block = tuple(slice(i * factor, (i + 1) * factor) for i in index)
        inner = y[(slice(None), *block)].reshape(2, -1, channels)
        expected[(slice(None), *index)] = inner.mean(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_output_space_keeps_the_bounds_and_is_not_invertible():
    abstraction = Downsample(Array((8, 8, 3), -1.0, 2.0, step=0.5), 4)
    assert abstraction.output_space == Array((2, 2, 3), -1.0, 2.0)
    assert not abstraction.invertible and not abstraction.lossless
    with pytest.raises(NotImplementedError, match="Downsample is not invertible"):
        abstraction.decode({}, np.zeros((1, 2, 2, 3)))


def test_consistency_is_the_error_at_the_lower_resolution():
    space = Array((4, 6, 3), 0.0, 255.0, step=1.0)
    y = np.random.default_rng(0).integers(0, 256, (3, *space.shape)).astype(np.uint8)
    abstraction = Downsample(space, 2)
    own = np.asarray(abstraction.encode({}, to_dtype(space, y)))
    assert abstraction.consistency_metrics({}, y, own) == {"mse": 0.0}
    metrics = abstraction.consistency_metrics({}, y, own - 51)
    assert metrics == {"mse": pytest.approx(0.04, rel=1e-5)}


@pytest.mark.parametrize(
    ("space", "factor", "message"),
    [
        (Category(3), 2, "needs an Array with a grid and channels, not Category(3)"),
        (Array((6,)), 2, "needs an Array with a grid and channels, not Array(6)"),
        (Array((6, 8, 1)), 4, "factor 4 does not divide the grid (6, 8)"),
        (
            Array((6, 8, 1), padded=True),
            2,
            "needs an Array of constant length, not Array(6, 8, 1, padded)",
        ),
        (Array((6, 8, 1)), 0, "factor must be at least 1, not 0"),
    ],
)
def test_invalid_option_raises_value_error(space, factor, message):
    assert value_error(Downsample, space, factor) == message
