"""Ancestral sampling: tokens drawn one step after the other, each given those before."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from regen_jax.generators.autoregressive.beam import Caches, Step
from regen_jax.generators.autoregressive.delay import undelay
from regen_jax.spaces import Tokens

Choose = Callable[[jax.Array, jax.Array, jax.Array | float], jax.Array]


def ancestral_sampling(
    step: Step,
    logits: jax.Array,
    caches: Caches,
    keys: jax.Array,
    target_space: Tokens,
    choose: Choose,
    constraint_weight: float = 0.0,
) -> jax.Array:
    """Draws i32[B, *target.shape], until every example has ended.

    Levels of a depth K above 1 are drawn in the steps of `delay`, which reads
    `target.vocab` where a level has not begun or is over. A padded target ends with the
    first 0 of its first level.

    Args:
      step: reads the tokens i32[B] or [B, K] of a step number i32[] and gives the logits
        of the next step, and caches.
      logits: of the first step, f32[B, V] or [B, K, V].
      caches: a tree of arrays, as they are before the first step.
      keys: one an example.
      target: the space to draw from.
      choose: draws i32[N] by N keys from logits [N, V] and penalties in nats, which are
        [N, V] too, or 0.
      constraint_weight: nats that a token loses for each fault in `target.rules`.
    """
    depth, vocab = target_space.depth, target_space.vocab
    steps = target_space.length + depth - 1
    front = _reach(target_space) if constraint_weight else 0

    def penalty(written: jax.Array, index: jax.Array) -> jax.Array | float:
        if not constraint_weight:
            return 0.0
        return constraint_weight * _faults(target_space, written, index).reshape(
            -1, vocab
        )

    def settle(
        logits: jax.Array,
        penalties: jax.Array | float,
        index: jax.Array,
        length: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """The tokens of a step, and the length of each example as far as it is known."""
        now = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
        if depth > 1:
            fold = jax.vmap(jax.random.fold_in, (None, 0))
            now = jax.vmap(fold, (0, None))(now, jnp.arange(depth)).reshape(-1)
        tokens = choose(now, logits.reshape(-1, vocab), penalties).reshape(-1, depth)
        position = index - jnp.arange(depth)
        if target_space.padded:
            tokens = jnp.where(position < length[:, None], tokens, 0)
            ends = (tokens[:, 0] == 0) & (index < length)
            length = jnp.where(ends, index, length)
        if depth == 1:
            return tokens[:, 0], length
        inside = (position >= 0) & (position < target_space.length)
        return jnp.where(inside, tokens, vocab), length

    def unfinished(state: tuple) -> jax.Array:
        index, _, length, *_ = state
        # The last level is `depth - 1` steps behind the first.
        return (index < steps) & jnp.any(index < length + depth - 1)

    def advance(state: tuple) -> tuple:
        index, token, length, written, caches = state
        logits, caches = step(token, index - 1, caches)
        token, length = settle(logits, penalty(written, index), index, length)
        written = written.at[front + index].set(token)
        return index + 1, token, length, written, caches

    batch, stack = keys.shape[0], () if depth == 1 else (depth,)
    written = jnp.zeros((front + steps, batch, *stack), jnp.int32)
    length, first = (
        jnp.full(batch, target_space.length, jnp.int32),
        jnp.zeros((), jnp.int32),
    )
    token, length = settle(logits, penalty(written, first), first, length)
    state = first + 1, token, length, written.at[front].set(token), caches
    *_, written, _ = jax.lax.while_loop(unfinished, advance, state)
    target = written[front:].swapaxes(0, 1)
    return target if depth == 1 else undelay(target)


def _reach(target_space: Tokens) -> int:
    """How many steps back rules look: levels of a stack are steps apart."""
    return target_space.constraints.context + target_space.depth - 1


def _faults(target_space: Tokens, written: jax.Array, index: jax.Array) -> jax.Array:
    """Faults of each id in step `index`: f32[B, V], or [B, K, V] of a stack.

    `written` is i32[steps, B, (K)], with as many rows in front as rules look back.
    """
    depth, context = target_space.depth, _reach(target_space)
    recent = jax.lax.dynamic_slice_in_dim(written, index, context)
    recent = recent.reshape(context, -1, depth)
    recent = jnp.where(recent == target_space.vocab, 0, recent)

    def levels(first: int, number: int) -> jax.Array:
        """[B, number]: the first levels of a position whose first is in that row."""
        ids = [recent[first + i, :, i] for i in range(number)]
        return jnp.stack(ids, axis=-1) if ids else recent[0, :, :0]

    def of_level(level: int) -> jax.Array:
        first = context - level
        back = range(first - target_space.constraints.context, first)
        before = jnp.stack([levels(row, level + 1) for row in back], axis=1)
        return target_space.constraints.violations(before, levels(first, level))

    counts = [of_level(level) for level in range(depth)]
    return counts[0] if depth == 1 else jnp.stack(counts, axis=1)
