"""What known tokens of a padded space rule out."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.masked.unmasking import (
    end_at_padding,
    mask_impossible,
    scaled_count,
)
from regen_jax.spaces import Tokens
from tests.generators.masked.enumeration import possible_tokens, states_of, targets_of


@pytest.mark.parametrize("whole", [1, 7, 12, 46_340, 46_341, 100_003, 2**24 - 1, 2**24])
def test_scaled_count_is_that_of_whole_numbers(whole):
    rng = np.random.default_rng(0)
    counts, parts = (
        [0, 1, whole - 1, whole, *rng.integers(0, whole + 1, 60).tolist()]
        for _ in range(2)
    )
    # Multiples of the whole, where a quotient that is rounded down is one too small.
    divisor = math.gcd(whole, 12)
    counts += [whole // divisor * i for i in range(divisor + 1)]
    parts += [whole - whole // divisor * i for i in range(divisor + 1)]
    pairs = list(itertools.product(counts, parts))
    count, part = jnp.array(pairs, jnp.int32).T
    actual = jax.jit(scaled_count, static_argnums=2)(count, part, whole)
    assert actual.tolist() == [a * b // whole for a, b in pairs]


@pytest.mark.parametrize(
    "space",
    [
        Tokens(3, 3, padded=True),
        Tokens(2, 3, depth=2, padded=True),
        Tokens(2, 2, depth=2),
    ],
    ids=str,
)
def test_masked_logits_are_those_that_no_value_has(space):
    states = states_of(space)
    tokens = jnp.array(states).reshape(-1, *space.shape)
    logits = jnp.zeros((*tokens.shape, space.vocab))
    masked = tokens == space.vocab
    result = mask_impossible(space, logits, tokens, masked)
    possible = np.isfinite(result).reshape(len(states), -1, space.vocab)
    for state, row in zip(states, possible, strict=True):
        unknown = np.array(state) == space.vocab
        expected = possible_tokens(space, state)
        np.testing.assert_array_equal(row[unknown], expected[unknown])


def test_contradictory_tokens_leave_a_choice():
    space = Tokens(3, 3, padded=True)
    tokens = jnp.array([[0, 3, 2], [3, 0, 1]])
    logits = mask_impossible(space, jnp.zeros((2, 3, 3)), tokens, tokens == 3)
    np.testing.assert_array_equal(np.isfinite(logits[0, 1]), [1, 0, 0])
    assert np.isfinite(logits).any(axis=-1).all()


def test_end_is_the_first_padding_of_any_level():
    space = Tokens(3, 4, depth=2, padded=True)
    tokens = jnp.array([[[1, 2], [3, 0], [1, 1]], [[1, 2], [3, 1], [2, 3]]])
    ended = end_at_padding(space, tokens)
    assert ended.tolist() == [[[1, 2], [0, 0], [0, 0]], tokens[1].tolist()]
    values = jnp.asarray(targets_of(space)).reshape(-1, *space.shape)
    np.testing.assert_array_equal(end_at_padding(space, values), values)
