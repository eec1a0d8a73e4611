"""Random streams: every example has a key of its own, and every use of it a number."""

import jax


def fold_keys(keys: jax.Array, number: int | jax.Array) -> jax.Array:
    """Returns one key per example, of the stream `number` of each of `keys` [B]."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def split_keys(keys: jax.Array) -> jax.Array:
    """Returns two keys per example, [2, B], from `keys` [B]."""
    return jax.vmap(jax.random.split, out_axes=1)(keys)
