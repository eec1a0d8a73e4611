"""Random segments of sequences, for training on a part of each example."""

import jax
import jax.numpy as jnp


def starts(keys: jax.Array, length: jax.Array, size: int) -> jax.Array:
    """Draws the first positions of random segments.

    Args:
      keys: one key per example, [B].
      length: i32[B], valid positions of each example.
      size: positions per segment.

    Returns:
      i32[B], uniform over segments within the length, and 0 for an example that is no
      longer than a segment.
    """

    def draw(key: jax.Array, length: jax.Array) -> jax.Array:
        return jax.random.randint(key, (), 0, jnp.maximum(length - size, 0) + 1)

    return jax.vmap(draw)(keys, length)


def cut(x: jax.Array, start: jax.Array, size: int) -> jax.Array:
    """Slices `size` positions from `start` i32[B] on of each example of [B, T, ...]."""
    return jax.vmap(lambda x, i: jax.lax.dynamic_slice_in_dim(x, i, size))(x, start)
