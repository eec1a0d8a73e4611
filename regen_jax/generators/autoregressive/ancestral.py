"""Ancestral sampling: each token is sampled given those before it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.generators.autoregressive.decoding import Caches, Step
from regen_jax.generators.autoregressive.delay import undelay
from regen_jax.spaces import Tokens

SampleFn = Callable[[jax.Array, jax.Array, jax.Array | float], jax.Array]
"""Called as (keys [N], logits f32[N, V], penalties f32[N, V] or 0): returns i32[N]."""


class Kept(NamedTuple):
    """Tokens that stand in place of sampled ones, in the steps of `delay`.

    Attributes:
      mask: bool[B, steps], or [B, steps, K]: whether a token does.
      tokens: i32 of the same shape.
    """

    mask: jax.Array
    tokens: jax.Array


def ancestral_sampling(
    step: Step,
    logits: jax.Array,
    caches: Caches,
    keys: jax.Array,
    target_space: Tokens,
    sample_fn: SampleFn,
    constraint_weight: float = 0.0,
    kept: Kept | None = None,
) -> jax.Array:
    """Samples i32[B, *target_space.shape], until every example has ended.

    Levels of a depth K above 1 are sampled in the steps of `delay`, with the id
    `target_space.vocab` where a level has not begun or is over. A padded target ends with
    the first 0 of its first level.

    Args:
      step: maps the tokens i32[B] or [B, K] of a step, its index i32[] and caches to the
        logits of the next step and caches.
      logits: of the first step, f32[B, V] or [B, K, V].
      caches: a tree of arrays, as they are before the first step.
      keys: one per example.
      target_space: the space to sample from.
      sample_fn: samples tokens from logits and penalties in nats.
      constraint_weight: nats that a token loses for each violation of
        `target_space.constraints`.
      kept: tokens that are not sampled; None samples all.
    """
    depth, vocab = target_space.depth, target_space.vocab
    num_steps = target_space.length + depth - 1
    context = _context(target_space) if constraint_weight else 0

    def apply_constraints(tokens: jax.Array, index: jax.Array) -> jax.Array | float:
        """Returns the penalties of a step, f32[B · K, V], from the tokens before it."""
        if not constraint_weight:
            return 0.0
        violations = _violations(target_space, tokens, index)
        return constraint_weight * violations.reshape(-1, vocab)

    def sample_step(
        logits: jax.Array,
        penalties: jax.Array | float,
        index: jax.Array,
        length: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the tokens of a step, and the length of each example so far known."""
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
        if depth > 1:
            fold = jax.vmap(jax.random.fold_in, (None, 0))
            step_keys = jax.vmap(fold, (0, None))(step_keys, jnp.arange(depth))
            step_keys = step_keys.reshape(-1)
        token = sample_fn(step_keys, logits.reshape(-1, vocab), penalties)
        token = token.reshape(-1, depth)
        if kept is not None:
            here = jax.tree.map(lambda x: x[:, index].reshape(-1, depth), kept)
            token = jnp.where(here.mask, here.tokens, token)
        position = index - jnp.arange(depth)
        if target_space.padded:
            token = jnp.where(position < length[:, None], token, 0)
            ends = (token[:, 0] == 0) & (index < length)
            length = jnp.where(ends, index, length)
        if depth == 1:
            return token[:, 0], length
        inside = (position >= 0) & (position < target_space.length)
        return jnp.where(inside, token, vocab), length

    def unfinished(state: tuple) -> jax.Array:
        index, _, length, *_ = state
        # The last level is `depth - 1` steps after the first.
        return (index < num_steps) & jnp.any(index < length + depth - 1)

    def next_step(state: tuple) -> tuple:
        index, token, length, tokens, caches = state
        logits, caches = step(token, index - 1, caches)
        penalties = apply_constraints(tokens, index)
        token, length = sample_step(logits, penalties, index, length)
        tokens = tokens.at[context + index].set(token)
        return index + 1, token, length, tokens, caches

    batch, stack = keys.shape[0], () if depth == 1 else (depth,)
    # Rows of zeros precede the first step, for constraints to look back at.
    tokens = jnp.zeros((context + num_steps, batch, *stack), jnp.int32)
    length = jnp.full(batch, target_space.length, jnp.int32)
    first = jnp.zeros((), jnp.int32)
    penalties = apply_constraints(tokens, first)
    token, length = sample_step(logits, penalties, first, length)
    state = first + 1, token, length, tokens.at[context].set(token), caches
    *_, tokens, _ = jax.lax.while_loop(unfinished, next_step, state)
    target = tokens[context:].swapaxes(0, 1)
    return target if depth == 1 else undelay(target)


def _context(target_space: Tokens) -> int:
    """Returns how many steps constraints look back: levels of a stack are steps apart."""
    return target_space.constraints.context + target_space.depth - 1


def _violations(target_space: Tokens, tokens: jax.Array, index: jax.Array) -> jax.Array:
    """Counts the violations of each id in step `index`: f32[B, V], or [B, K, V].

    `tokens` is i32[context + steps, B], or [context + steps, B, K].
    """
    depth, context = target_space.depth, _context(target_space)
    recent = jax.lax.dynamic_slice_in_dim(tokens, index, context)
    recent = recent.reshape(context, -1, depth)
    recent = jnp.where(recent == target_space.vocab, 0, recent)

    def levels_at(row: int, number: int) -> jax.Array:
        """Returns the lowest levels of the position that begins in a row, [B, number]."""
        ids = [recent[row + level, :, level] for level in range(number)]
        return jnp.stack(ids, axis=-1) if ids else recent[0, :, :0]

    def level_violations(level: int) -> jax.Array:
        row = context - level
        rows_before = range(row - target_space.constraints.context, row)
        before = [levels_at(row_before, level + 1) for row_before in rows_before]
        above = levels_at(row, level)
        return target_space.constraints.violations(jnp.stack(before, axis=1), above)

    counts = [level_violations(level) for level in range(depth)]
    return counts[0] if depth == 1 else jnp.stack(counts, axis=1)
