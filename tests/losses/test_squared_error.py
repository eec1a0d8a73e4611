"""Squared errors over the values of a target that are not padding."""

import jax.numpy as jnp
import numpy as np

from regen_jax.losses.squared_error import mean_square, normalize_target
from regen_jax.spaces import Array, Padded

VALUES = np.random.default_rng(0).uniform(0, 10, (3, 4, 2)).astype(np.float32)
LENGTH = np.array([4, 1, 0])


def test_mean_square_is_over_all_values_of_an_example():
    error = jnp.asarray(VALUES)
    expected = np.square(VALUES).mean(axis=(1, 2))
    np.testing.assert_allclose(mean_square(error, VALUES), expected, rtol=1e-6)


def test_padding_does_not_count():
    expected = [np.square(VALUES[0]).mean(), np.square(VALUES[1, 0]).mean(), 0]
    error = mean_square(jnp.asarray(VALUES), Padded(VALUES, LENGTH))
    np.testing.assert_allclose(error, expected, rtol=1e-6)


def test_normalized_target_is_zero_at_padding():
    space = Array((4, 2), 0, 10, padded=True)
    normalized = normalize_target(space, Padded(VALUES, LENGTH))
    np.testing.assert_allclose(normalized[0], VALUES[0] / 5 - 1, atol=1e-6)
    assert np.abs(normalized[1, 1:]).max() == np.abs(normalized[2]).max() == 0
