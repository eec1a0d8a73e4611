"""Random streams: every example has a key of its own, and every use of it a number."""

import contextlib
import contextvars
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp

_strata: contextvars.ContextVar[jax.Array | None] = contextvars.ContextVar(
    "strata", default=None
)


def example_keys(rng: jax.Array, first: int, number: int) -> jax.Array:
    """Returns keys of examples first … first + number - 1, one per example.

    The key of an example depends on its index alone, not on the batch it is in.
    """
    return jax.vmap(jax.random.fold_in, (None, 0))(rng, jnp.arange(number) + first)


def fold_keys(keys: jax.Array, number: int | jax.Array) -> jax.Array:
    """Returns one key per example, of the stream `number` of each of `keys` [B]."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def split_keys(keys: jax.Array) -> jax.Array:
    """Returns two keys per example, [2, B], from `keys` [B]."""
    return jax.vmap(jax.random.split, out_axes=1)(keys)


def stratified_uniform(keys: jax.Array) -> jax.Array:
    """Draws a number in [0, 1) per example, spread evenly over the batch of a step.

    Each number alone is uniform. All uses in one step get the same numbers. Outside of a
    training step, where no batch is known, numbers are independent.

    Args:
      keys: one per example, [B], for numbers outside of a training step.

    Returns:
      f32[B].
    """
    strata = _strata.get()
    return jax.vmap(jax.random.uniform)(keys) if strata is None else strata


def strata(rng: jax.Array, batch_size: int) -> jax.Array:
    """Returns i / B + u modulo 1 for each example i of a batch, with one uniform u.

    The low-discrepancy sampler of Kingma et al., arXiv 2107.00630, appendix I.1.
    """
    offset = jax.random.uniform(rng)
    return (jnp.arange(batch_size) / batch_size + offset) % 1


@contextlib.contextmanager
def stratifying_by(strata_B: jax.Array) -> Iterator[None]:
    """Makes `stratified_uniform` return these numbers, while a step is traced."""
    token = _strata.set(strata_B)
    try:
        yield
    finally:
        _strata.reset(token)


def normal_quantile(uniform: jax.Array) -> jax.Array:
    """Maps uniform numbers in [0, 1) to standard normal ones, as `jax.random.normal`."""
    least = jnp.nextafter(jnp.float32(-1), jnp.float32(0))
    return math.sqrt(2) * jax.lax.erf_inv(jnp.maximum(2 * uniform - 1, least))
