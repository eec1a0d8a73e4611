"""Beam search for the likeliest sequence of any model that predicts token after token."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Caches = Any
Step = Callable[[jax.Array, jax.Array, Caches], tuple[jax.Array, Caches]]


def length_factor(length: jax.Array, penalty: float) -> jax.Array:
    """lp(Y) = ((5 + |Y|) / 6)^penalty, f32 [...] (Wu et al., arXiv 1609.08144, eq. 14).

    0 leaves log-probabilities as they are; more favours longer sequences.
    """
    return ((5.0 + length) / 6.0) ** penalty


def beam_search(
    step: Step,
    log_probs_BxV: jax.Array,
    caches: Caches,
    *,
    size: int,
    length: int,
    ends: bool,
    length_penalty: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """The best of `size` sequences kept at every step, by log-probability / lp(Y).

    |Y| counts the end token. A sequence that has ended keeps its place in the beam for as
    long as its score does. Size 1 is greedy search, whatever the penalty, and a size that
    holds all sequences finds the best of them. No example depends on another.

    Args:
      step: reads tokens i32[B · size] at an index i32[] and gives the log-probabilities
        [B · size, V] of the next ones, and caches. Beams of an example are adjacent.
      log_probs_BxV: of the first token.
      caches: a tree of arrays with B in front, as they are before the first token.
      size: of the beam.
      length: of a sequence, at most.
      ends: whether 0 ends a sequence, to be followed by 0 alone.
      length_penalty: the exponent of `length_factor`.

    Returns:
      The sequences i32[B, length] and their scores f32[B].
    """
    batch, vocab = log_probs_BxV.shape
    spread = jnp.arange(batch)[:, None]

    def keep(
        index: jax.Array, beams: tuple, log_probs_BxKxV: jax.Array
    ) -> tuple[tuple, jax.Array]:
        """Beams a token longer, and which of the old ones each of them continues."""
        tokens, totals, counts, ended = beams
        # An ended sequence has one continuation, which costs nothing.
        free = jnp.where(jnp.arange(vocab) == 0, 0.0, -jnp.inf)
        totals = totals[..., None] + jnp.where(ended[..., None], free, log_probs_BxKxV)
        counts = counts + ~ended
        scores = totals / length_factor(counts, length_penalty)[..., None]
        _, chosen = jax.lax.top_k(scores.reshape(batch, -1), size)
        parents, token = chosen // vocab, chosen % vocab
        tokens = tokens[spread, parents].at[:, :, index].set(token)
        totals = totals.reshape(batch, -1)[spread, chosen]
        ended = ended[spread, parents] | (ends & (token == 0))
        return (tokens, totals, counts[spread, parents], ended), parents

    def unfinished(state: tuple) -> jax.Array:
        index, (*_, ended), _ = state
        return (index < length) & ~jnp.all(ended)

    def advance(state: tuple) -> tuple:
        index, beams, caches = state
        last = jax.lax.dynamic_index_in_dim(beams[0], index - 1, 2, keepdims=False)
        log_probs, caches = step(last.reshape(-1), index - 1, caches)
        beams, parents = keep(index, beams, log_probs.reshape(batch, size, vocab))
        rows = (spread * size + parents).reshape(-1)
        caches = jax.tree.map(lambda cache: cache[rows], caches)
        return index + 1, beams, caches

    # All but one of the first beams are impossible, lest the same sequence come twice.
    beams = (
        jnp.zeros((batch, size, length), jnp.int32),
        jnp.broadcast_to(
            jnp.where(jnp.arange(size) == 0, 0.0, -jnp.inf), (batch, size)
        ),
        jnp.zeros((batch, size), jnp.int32),
        jnp.zeros((batch, size), bool),
    )
    first = jnp.broadcast_to(log_probs_BxV[:, None], (batch, size, vocab))
    beams, _ = keep(jnp.zeros((), jnp.int32), beams, first)
    caches = jax.tree.map(lambda cache: jnp.repeat(cache, size, axis=0), caches)
    start = jnp.ones((), jnp.int32), beams, caches
    _, (tokens, totals, counts, _), _ = jax.lax.while_loop(unfinished, advance, start)
    scores = totals / length_factor(counts, length_penalty)
    # Beams are in order, the best one first.
    return tokens[:, 0], scores[:, 0]
