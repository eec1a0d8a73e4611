import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.autoregressive.beam import beam_search

BATCH, VOCAB, LENGTH = 6, 3, 4
RNG = np.random.default_rng(0)
# Of the first token, and of each token given the two before it, in each example.
FIRST = np.log(RNG.dirichlet(np.ones(VOCAB), BATCH)).astype(np.float32)
NEXT = np.log(RNG.dirichlet(np.ones(VOCAB), (BATCH, VOCAB, VOCAB))).astype(np.float32)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def search(first, after, size, ends, penalty):
    """Beam search in a Markov chain of order 2: its cache is the token before last."""

    def step(token, index, cache):
        example, before = cache["example"], jnp.where(index == 0, 0, cache["last"])
        return jnp.asarray(after)[example, before, token], cache | {"last": token}

    number = first.shape[0]
    cache = {"example": jnp.arange(number), "last": jnp.zeros(number, jnp.int32)}
    return beam_search(
        step, first, cache, size=size, length=LENGTH, ends=ends, length_penalty=penalty
    )


def score(example: int, sequence: tuple[int, ...], ends: bool, penalty: float):
    """Computes the log-probability over lp(Y), step by step."""
    total, count, before = 0.0, 0, 0
    for index, token in enumerate(sequence):
        last = sequence[index - 1]
        total += (FIRST[example] if index == 0 else NEXT[example, before, last])[token]
        before = last if index else 0
        count += 1
        if ends and token == 0:
            break
    return total / ((5 + count) / 6) ** penalty


def all_sequences(ends: bool) -> list[tuple[int, ...]]:
    """All sequences; where 0 ends one, 0 follows it."""
    every = itertools.product(range(VOCAB), repeat=LENGTH)
    return [s for s in every if not ends or 0 not in s or not any(s[s.index(0) :])]


@pytest.mark.parametrize("penalty", [0.0, 2.0])
@pytest.mark.parametrize("ends", [False, True])
def test_beam_that_holds_all_sequences_finds_best(ends, penalty):
    tokens, scores = search(FIRST, NEXT, VOCAB**LENGTH, ends, penalty)
    assert tokens.dtype == np.int32
    for example in range(BATCH):
        best = max(all_sequences(ends), key=lambda s: score(example, s, ends, penalty))
        np.testing.assert_array_equal(tokens[example], best)
        expected = score(example, best, ends, penalty)
        np.testing.assert_allclose(scores[example], expected, rtol=1e-5)


@pytest.mark.parametrize("ends", [False, True])
def test_beam_of_1_is_greedy_and_wider_one_no_worse(ends):
    greedy, low = search(FIRST, NEXT, 1, ends, 0.0)
    penalized, _ = search(FIRST, NEXT, 1, ends, 2.0)
    for example in range(BATCH):
        expected, before = [int(FIRST[example].argmax())], 0
        while len(expected) < LENGTH:
            last = expected[-1]
            over = ends and last == 0
            expected.append(0 if over else int(NEXT[example, before, last].argmax()))
            before = last
        np.testing.assert_array_equal(greedy[example], expected)
    np.testing.assert_array_equal(penalized, greedy)
    _, high = search(FIRST, NEXT, 3, ends, 0.0)
    assert np.all(high >= low) and np.any(high > low + 1e-3)


def test_examples_are_searched_alone():
    tokens, _ = search(FIRST, NEXT, 2, True, 0.5)
    turned, _ = search(FIRST[::-1], NEXT[::-1], 2, True, 0.5)
    alone, _ = search(FIRST[:1], NEXT[:1], 2, True, 0.5)
    np.testing.assert_array_equal(turned[::-1], tokens)
    np.testing.assert_array_equal(alone, tokens[:1])
