"""Sampling: masked tokens are predicted at once, and some revealed at each call."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.generators.masked.interfaces import Order
from regen_jax.networks.token_logits import token_log_probs
from regen_jax.random import fold_keys
from regen_jax.spaces import Tokens

# What the key of a call is folded with.
_CANDIDATES, _ORDER = 0, 1


class Call(NamedTuple):
    """What differs between calls of the network; arrays have an axis of calls.

    Attributes:
      index: i32[calls], 0, 1, …
      num_masked: i32[calls], tokens that are masked after the call, where all are at first.
      progress: f32[calls], fraction of the calls that are made, this one included.
      guidance: f32[calls], scale of guidance.
    """

    index: jax.Array
    num_masked: jax.Array
    progress: jax.Array
    guidance: jax.Array


def unmask(
    predict: Callable[[jax.Array, jax.Array], jax.Array],
    space: Tokens,
    keys: jax.Array,
    tokens: jax.Array,
    calls: Call,
    sample_fn: Callable[[jax.Array, jax.Array], jax.Array],
    order: Order,
) -> jax.Array:
    """Samples the tokens that are masked, given the others: i32[B, *space.shape].

    Where some are known at first, each call reveals the same fraction of those that are
    masked as it does of all tokens otherwise.

    Args:
      predict: maps tokens, `space.vocab` where masked, and a scale of guidance f32[] to
        logits f32[B, *space.shape, V]; called once in a loop over `calls`.
      space: of the tokens.
      keys: one per example.
      tokens: i32[B, *space.shape], `space.vocab` where masked.
      calls: of `predict`.
      sample_fn: samples candidates from keys and logits.
      order: of the masked tokens.
    """
    masked = tokens == space.vocab
    axes, size = tuple(range(1, tokens.ndim)), space.length * space.depth
    num_sampled = masked.sum(axis=axes, keepdims=True)

    def reveal(state: tuple[jax.Array, jax.Array], call: Call) -> tuple:
        tokens, masked = state
        logits = predict(tokens, call.guidance)
        logits = mask_impossible(space, logits, tokens, masked)
        call_keys = fold_keys(keys, call.index)
        candidates = sample_fn(fold_keys(call_keys, _CANDIDATES), logits)
        scores = order.scores(
            space,
            fold_keys(call_keys, _ORDER),
            token_log_probs(logits, candidates),
            call.progress,
        )
        # Those that are known come first.
        scores = jnp.where(masked, scores, jnp.inf)
        num_masked = scaled_count(call.num_masked, num_sampled, size)
        keep = descending_ranks(scores) >= size - num_masked
        return (jnp.where(masked & ~keep, candidates, tokens), keep), None

    (tokens, _), _ = jax.lax.scan(reveal, (tokens, masked), calls)
    return end_at_padding(space, tokens)


def scaled_count(count: jax.Array, part: jax.Array, whole: int) -> jax.Array:
    """Returns count · part // whole, though the product may exceed int32.

    Args:
      count: i32[...], from 0 to `whole`.
      part: i32[...], likewise.
      whole: up to 2²⁴, which float32 is exact to.
    """
    estimate = jnp.asarray(count * (part / whole), jnp.int32)
    # Both products wrap around alike: their difference is that of whole numbers, small.
    return estimate + (count * part - estimate * whole) // whole


def descending_ranks(x: jax.Array) -> jax.Array:
    """Returns i32[B, ...]: how many entries of an example come before each, 0 the highest.

    Of equal ones the first comes first.
    """
    order = jnp.argsort(x.reshape(x.shape[0], -1), axis=-1, descending=True)
    return jnp.argsort(order, axis=-1).reshape(x.shape)


def mask_impossible(
    space: Tokens, logits: jax.Array, tokens: jax.Array, masked: jax.Array
) -> jax.Array:
    """Returns logits with -inf for what the tokens that are not masked rule out.

    Nothing but padding follows padding, and none precedes a token that is no padding; all
    levels of a position are padding or none is.

    Args:
      space: of the tokens.
      logits: f32[B, *space.shape, V].
      tokens: i32[B, *space.shape].
      masked: bool[B, *space.shape].
    """
    if not space.padded:
        return logits
    padding = _any_level(space, ~masked & (tokens == 0))
    inside = _any_level(space, ~masked & (tokens != 0))
    ended = jax.lax.cummax(padding.astype(jnp.int32), axis=1) > 0
    begun = jax.lax.cummax(inside.astype(jnp.int32), axis=1, reverse=True) > 0
    # Where tokens revealed at the same call contradict one another, padding holds.
    begun &= ~ended
    if space.depth > 1:
        ended, begun = ended[..., None], begun[..., None]
    is_padding = jnp.arange(space.vocab) == 0
    ruled_out = jnp.where(is_padding, begun[..., None], ended[..., None])
    return jnp.where(ruled_out, -jnp.inf, logits)


def end_at_padding(space: Tokens, tokens: jax.Array) -> jax.Array:
    """Returns tokens [B, *space.shape] with 0 from the first padding of any level on."""
    if not space.padded:
        return tokens
    ended = jnp.cumsum(_any_level(space, tokens == 0), axis=1) > 0
    return jnp.where(ended if space.depth == 1 else ended[..., None], 0, tokens)


def _any_level(space: Tokens, x: jax.Array) -> jax.Array:
    """Returns bool[B, L], whether x bool[B, *space.shape] is true at any level."""
    return x if space.depth == 1 else x.any(axis=-1)
