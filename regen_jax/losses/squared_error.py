"""Squared errors over what counts of a target, alone or beside those of an alignment."""

import jax
import jax.numpy as jnp

from regen_jax.interfaces import LossOutput
from regen_jax.networks.duration_encoder import Alignment
from regen_jax.spaces import Array, Padded, Value, length_mask


def normalized(target_space: Array, target: Value) -> jax.Array:
    """b in [-1, 1], float32 [B, *target.shape], and 0 beyond its length."""
    if not isinstance(target, Padded):
        return target_space.normalize(target)
    return _cut(target_space.normalize(target.values), target.length)


def mean_square(error: jax.Array, target: Value) -> jax.Array:
    """f32[B]: mean square of an error [B, *shape] over the values of b that count.

    Examples weigh the same, however long, as no likelihood of frames is reported.
    """
    square = jnp.square(error)
    axes = range(1, error.ndim)
    if not isinstance(target, Padded):
        return square.mean(axis=axes)
    count = target.length * (error[0].size // error.shape[1])
    return _cut(square, target.length).sum(axis=axes) / jnp.maximum(count, 1)


def with_alignment(
    name: str, loss: jax.Array, alignment: Alignment | None, weight: float
) -> LossOutput:
    """The loss f32[B] as it is, or as the metric `name` beside those of an alignment.

    `weight` is that of the means' loss. That of durations trains weights of its own.
    """
    if alignment is None:
        return LossOutput(loss)
    prior, durations = alignment.alignment_loss, alignment.duration_loss
    return LossOutput(
        loss + weight * prior + durations,
        {name: loss, "alignment_loss": prior, "duration_loss": durations},
    )


def _cut(x: jax.Array, length: jax.Array) -> jax.Array:
    valid = length_mask(length, x.shape[1])
    return jnp.where(valid.reshape(*valid.shape, *[1] * (x.ndim - 2)), x, 0)
