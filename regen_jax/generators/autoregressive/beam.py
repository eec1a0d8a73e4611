"""Beam search for the likeliest sequence of any model that predicts token after token."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.generators.autoregressive.decoding import Caches, Step


class Beams(NamedTuple):
    """The K best sequences of each example, the best one first.

    Attributes:
      tokens: i32[B, K, L].
      log_probs: f32[B, K], of the tokens so far.
      lengths: i32[B, K], tokens so far, with the one that ends a sequence.
      ended: bool[B, K].
    """

    tokens: jax.Array
    log_probs: jax.Array
    lengths: jax.Array
    ended: jax.Array


def length_factor(length: jax.Array, penalty: float) -> jax.Array:
    """Computes lp(Y) = ((5 + |Y|) / 6)^penalty, f32[...].

    Wu et al., arXiv 1609.08144, equation 14. Penalty 0 leaves log-probabilities as they
    are; more favors longer sequences.
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
    """Finds the best of `size` sequences kept at every step, by log-probability / lp(Y).

    |Y| counts the end token. A sequence that has ended keeps its place in the beam for as
    long as its score does. Size 1 is greedy search, whatever the penalty, and a size that
    holds all sequences finds the best of them. No example depends on another.

    Args:
      step: maps tokens i32[B · size] at an index i32[] and caches to the log-probabilities
        f32[B · size, V] of the next tokens, and caches. Beams of an example are adjacent.
      log_probs_BxV: of the first token.
      caches: as they are before the first token, one row per example.
      size: of the beam.
      length: the largest length of a sequence.
      ends: whether 0 ends a sequence, to be followed by 0 alone.
      length_penalty: the exponent of `length_factor`.

    Returns:
      The sequences i32[B, length] and their scores f32[B].
    """
    batch, vocab = log_probs_BxV.shape
    examples = jnp.arange(batch)[:, None]

    def extend(
        index: jax.Array, beams: Beams, log_probs_BxKxV: jax.Array
    ) -> tuple[Beams, jax.Array]:
        """Returns beams one token longer, and which old one each continues, i32[B, K]."""
        # A sequence that has ended has one continuation, which costs nothing.
        only_end = jnp.where(jnp.arange(vocab) == 0, 0.0, -jnp.inf)
        added = jnp.where(beams.ended[..., None], only_end, log_probs_BxKxV)
        log_probs = beams.log_probs[..., None] + added
        lengths = beams.lengths + ~beams.ended
        scores = log_probs / length_factor(lengths, length_penalty)[..., None]
        _, best = jax.lax.top_k(scores.reshape(batch, -1), size)
        parents, token = best // vocab, best % vocab
        extended = Beams(
            beams.tokens[examples, parents].at[:, :, index].set(token),
            log_probs.reshape(batch, -1)[examples, best],
            lengths[examples, parents],
            beams.ended[examples, parents] | (ends & (token == 0)),
        )
        return extended, parents

    def unfinished(state: tuple) -> jax.Array:
        index, beams, _ = state
        return (index < length) & ~jnp.all(beams.ended)

    def next_step(state: tuple) -> tuple:
        index, beams, caches = state
        token = jax.lax.dynamic_index_in_dim(beams.tokens, index - 1, 2, keepdims=False)
        log_probs, caches = step(token.reshape(-1), index - 1, caches)
        beams, parents = extend(index, beams, log_probs.reshape(batch, size, vocab))
        rows = (examples * size + parents).reshape(-1)
        caches = jax.tree.map(lambda cache: cache[rows], caches)
        return index + 1, beams, caches

    # All but the first beam are impossible, lest all hold the same sequence.
    start = jnp.where(jnp.arange(size) == 0, 0.0, -jnp.inf)
    beams = Beams(
        jnp.zeros((batch, size, length), jnp.int32),
        jnp.broadcast_to(start, (batch, size)),
        jnp.zeros((batch, size), jnp.int32),
        jnp.zeros((batch, size), bool),
    )
    first = jnp.broadcast_to(log_probs_BxV[:, None], (batch, size, vocab))
    beams, _ = extend(jnp.zeros((), jnp.int32), beams, first)
    caches = jax.tree.map(lambda cache: jnp.repeat(cache, size, axis=0), caches)
    state = jnp.ones((), jnp.int32), beams, caches
    _, beams, _ = jax.lax.while_loop(unfinished, next_step, state)
    scores = beams.log_probs / length_factor(beams.lengths, length_penalty)
    return beams.tokens[:, 0], scores[:, 0]
