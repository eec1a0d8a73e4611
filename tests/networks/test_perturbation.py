"""Noise on values, and values that are partly those of others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.perturbation import (
    add_noise,
    check_noise,
    kept_positions,
    replace_kept,
    replace_tokens,
)
from regen_jax.spaces import Array, Category, Padded, Tokens, lengths

KEYS = jax.random.split(jax.random.key(0), 200)


def test_tokens_are_replaced_with_the_probability_by_uniform_ones():
    space = Tokens(50, 5)
    tokens = jnp.full((200, 50), 3)
    noisy = np.asarray(replace_tokens(space, KEYS, tokens, 0.4))
    fractions = np.bincount(noisy.ravel(), minlength=5) / noisy.size
    # A replaced token may be the one that was there.
    np.testing.assert_allclose(fractions, [0.08, 0.08, 0.08, 0.68, 0.08], atol=0.01)
    assert noisy.dtype == np.int32
    alone = replace_tokens(space, KEYS[7:8], tokens[7:8], 0.4)
    np.testing.assert_array_equal(alone[0], noisy[7])


def test_source_and_target_of_the_same_keys_have_independent_noise():
    space, tokens = Tokens(50, 1000), jnp.zeros((200, 50), jnp.int32)
    source = np.asarray(add_noise(space, KEYS, tokens, 0.4))
    target = np.asarray(replace_tokens(space, KEYS, tokens, 0.4))
    assert abs(np.mean(source != 0) - 0.4) < 0.02
    assert abs(np.mean((source != 0) & (target != 0)) - 0.4**2) < 0.02
    assert np.mean(source == target) < 0.4


def test_categories_are_replaced_with_the_probability():
    noisy = replace_tokens(Category(4), KEYS, jnp.zeros(200, jnp.int32), 1.0)
    assert set(np.asarray(noisy).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("depth", [1, 2])
def test_noise_keeps_the_lengths_of_padded_tokens(depth):
    space = Tokens(6, 4, depth, padded=True)
    rng = np.random.default_rng(0)
    length = rng.integers(0, 7, 200)
    tokens = rng.integers(1, 4, (200, *space.shape))
    tokens[np.arange(6) >= length[:, None]] = 0
    noisy = replace_tokens(space, KEYS, jnp.asarray(tokens), 1.0)
    np.testing.assert_array_equal(lengths(space, noisy), length)
    np.testing.assert_array_equal(np.asarray(noisy) == 0, tokens == 0)
    assert (np.asarray(noisy) != tokens).any()


def test_deviation_of_gaussian_noise_is_uniform_up_to_the_level():
    space = Array((500, 2))
    values = jnp.full((200, 500, 2), 4.0)
    noise = np.asarray(add_noise(space, KEYS, values, 0.5)) - 4
    deviations = np.sort(noise.reshape(200, -1).std(axis=1))
    quantiles = 0.5 * (np.arange(200) + 0.5) / 200
    np.testing.assert_allclose(deviations, quantiles, atol=0.07)
    assert abs(noise.mean()) < 0.01


def test_noise_of_a_bounded_array_is_of_its_normalized_values():
    values = jnp.full((200, 100, 1), 127.5)
    bounded = add_noise(Array((100, 1), 0.0, 255.0), KEYS, values, 0.2)
    unbounded = add_noise(Array((100, 1)), KEYS, jnp.zeros_like(values), 0.2)
    np.testing.assert_allclose(bounded, 127.5 + 127.5 * unbounded, rtol=1e-4)
    extreme = add_noise(Array((100, 1), 0.0, 255.0), KEYS, values, 100.0)
    assert extreme.min() == 0 and extreme.max() == 255


def test_noise_of_a_padded_array_leaves_padding():
    length = jnp.asarray([0, 2, 3])
    values = Padded(jnp.zeros((3, 3, 2)), length)
    noisy = add_noise(Array((3, 2), padded=True), KEYS[:3], values, 1.0)
    np.testing.assert_array_equal(noisy.length, length)
    changed = np.asarray(noisy.values != 0).all(axis=-1)
    np.testing.assert_array_equal(changed, np.arange(3) < length[:, None])


def test_probability_above_1_raises_value_error():
    check_noise(Array((2,)), 3.0, "noise")
    with pytest.raises(ValueError, match="noise must be at most 1, not 3.0: of Tokens"):
        check_noise(Tokens(2, 2), 3.0, "noise")


@pytest.mark.parametrize(
    "space", [Tokens(40, 3), Tokens(40, 3, 2), Array((8, 5, 2)), Array((40,))]
)
def test_kept_positions_are_those_of_the_target(space):
    kept = kept_positions(space, KEYS, 0.3)
    ones, zeros = (jnp.full((200, *space.shape), i, space.dtype) for i in (1, 0))
    mixed = np.asarray(replace_kept(space, kept, ones, zeros))
    assert mixed.shape == (200, *space.shape) and mixed.dtype == space.dtype
    assert abs(mixed.mean() - 0.3) < (0.1 if kept.ndim == 1 else 0.02)
    # All of a stack, or of the channels, is kept or none is.
    rest = mixed.reshape(*kept.shape, -1)
    np.testing.assert_array_equal(rest.min(axis=-1), rest.max(axis=-1))


def test_tokens_end_at_the_first_padding_of_target_or_other():
    space = Tokens(4, 9, padded=True)
    target, other = jnp.asarray([[1, 2, 0, 0]]), jnp.asarray([[5, 6, 7, 8]])
    kept = jnp.asarray([[False, True, False, False]])
    assert replace_kept(space, kept, target, other).tolist() == [[5, 2, 7, 8]]
    kept = jnp.asarray([[False, False, True, False]])
    assert replace_kept(space, kept, target, other).tolist() == [[5, 6, 0, 0]]


def test_padded_array_has_the_length_of_what_is_not_kept():
    space = Array((3, 1), padded=True)
    target = Padded(jnp.full((2, 3, 1), 1.0), jnp.asarray([1, 3]))
    other = Padded(jnp.full((2, 3, 1), 2.0), jnp.asarray([3, 2]))
    mixed = replace_kept(space, jnp.ones((2, 3), bool), target, other)
    assert mixed.length.tolist() == [3, 2]
    assert mixed.values[..., 0].tolist() == [[1, 2, 2], [1, 1, 2]]
