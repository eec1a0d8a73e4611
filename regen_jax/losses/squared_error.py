"""Squared errors over what counts of a target, alone or beside those of an alignment."""

import jax
import jax.numpy as jnp

from regen_jax.interfaces import Objective
from regen_jax.networks.duration_encoder import Alignment
from regen_jax.spaces import Array, Padded, Value, within


def normalized(target: Array, b: Value) -> jax.Array:
    """b in [-1, 1], float32 [B, *target.shape], and 0 beyond its length."""
    if not isinstance(b, Padded):
        return target.normalize(b)
    return _cut(target.normalize(b.values), b.length)


def mean_square(error: jax.Array, b: Value) -> jax.Array:
    """f32[B]: mean square of an error [B, *shape] over the values of b that count.

    Examples weigh the same, however long, as no likelihood of frames is reported.
    """
    square = jnp.square(error)
    axes = range(1, error.ndim)
    if not isinstance(b, Padded):
        return square.mean(axis=axes)
    count = b.length * (error[0].size // error.shape[1])
    return _cut(square, b.length).sum(axis=axes) / jnp.maximum(count, 1)


def with_alignment(
    name: str, loss: jax.Array, alignment: Alignment | None, weight: float
) -> Objective:
    """The loss f32[B] as it is, or as the metric `name` beside those of an alignment.

    `weight` is that of the means' loss. That of durations trains weights of its own.
    """
    if alignment is None:
        return Objective(loss)
    prior, durations = alignment.alignment_loss, alignment.duration_loss
    return Objective(
        loss + weight * prior + durations,
        {name: loss, "alignment_loss": prior, "duration_loss": durations},
    )


def _cut(x: jax.Array, length: jax.Array) -> jax.Array:
    valid = within(length, x.shape[1])
    return jnp.where(valid.reshape(*valid.shape, *[1] * (x.ndim - 2)), x, 0)
