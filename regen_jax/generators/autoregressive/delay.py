"""The delay pattern: stacks of K tokens as one sequence that is K - 1 steps longer.

Level k of position i is predicted at step i + k, where all levels below it, of that
position and of those before, are known: the product of the predictions is exact, though
each step predicts all levels at once (Copet et al., "Simple and Controllable Music
Generation", arXiv 2306.05284, section 2.1).
"""

import jax
import jax.numpy as jnp


def delay(tokens: jax.Array, fill: int) -> jax.Array:
    """Delays level k by k steps: [B, L, K, ...] to [B, L + K - 1, K, ...].

    `fill` stands where a level has not begun or is over.
    """
    depth = tokens.shape[2]
    rest = [(0, 0)] * (tokens.ndim - 3)
    levels = [
        jnp.pad(
            tokens[:, :, level],
            ((0, 0), (level, depth - 1 - level), *rest),
            constant_values=fill,
        )
        for level in range(depth)
    ]
    return jnp.stack(levels, axis=2)


def undelay(steps: jax.Array) -> jax.Array:
    """Inverts `delay`: [B, L + K - 1, K, ...] to [B, L, K, ...]."""
    depth = steps.shape[2]
    length = steps.shape[1] - depth + 1
    levels = [steps[:, level : level + length, level] for level in range(depth)]
    return jnp.stack(levels, axis=2)
