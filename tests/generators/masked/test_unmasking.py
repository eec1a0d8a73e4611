"""What known tokens of a padded space rule out."""

import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.masked.unmasking import end_at_padding, mask_impossible
from regen_jax.spaces import Tokens
from tests.generators.masked.enumeration import possible_tokens, states_of, targets_of


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
