"""Random segments of sequences, to train on a part of each example."""

import jax
import jax.numpy as jnp


def starts(keys: jax.Array, length: jax.Array, size: int) -> jax.Array:
    """Where a segment of `size` starts, i32[B]: uniform within each length i32[B].

    0 where an example is no longer than a segment.
    """

    def draw(key: jax.Array, length: jax.Array) -> jax.Array:
        return jax.random.randint(key, (), 0, jnp.maximum(length - size, 0) + 1)

    return jax.vmap(draw)(keys, length)


def cut(x: jax.Array, start: jax.Array, size: int) -> jax.Array:
    """`size` positions of each example of x [B, T, ...], from start i32[B] on."""
    return jax.vmap(lambda x, i: jax.lax.dynamic_slice_in_dim(x, i, size))(x, start)
