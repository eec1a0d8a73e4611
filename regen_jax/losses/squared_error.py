"""Squared errors over the values of a target that are not padding."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.losses.interface import LossTerm, Params, TermLoss
from regen_jax.spaces import Array, Padded, Space, Value, mask_padding


@dataclasses.dataclass(frozen=True)
class SquaredError(LossTerm):
    """Mean square of the error over the values of an example."""

    def check(self, space: Space) -> None:
        if not isinstance(space, Array):
            raise ValueError(f"loss 'squared_error' needs an Array, not {space}")

    def __call__(
        self, params: Params, space: Array, prediction: jax.Array, target: Value
    ) -> TermLoss:
        values = target.values if isinstance(target, Padded) else target
        loss = mean_square(prediction - values, target)
        return TermLoss(loss, {"reconstruction_loss": loss})


def normalize_target(target_space: Array, target: Value) -> jax.Array:
    """Returns the target in [-1, 1], f32[B, *target.shape], and 0 at padding."""
    if not isinstance(target, Padded):
        return target_space.normalize(target)
    return mask_padding(target_space.normalize(target.values), target.length)


def mean_square(error: jax.Array, target: Value) -> jax.Array:
    """Returns the mean square of an error [B, *target.shape] per example, f32[B].

    Padding of the target does not count. Examples weigh the same, however long, as no
    likelihood of frames is reported.
    """
    square = jnp.square(error)
    axes = range(1, error.ndim)
    if not isinstance(target, Padded):
        return square.mean(axis=axes)
    count = target.length * (error[0].size // error.shape[1])
    total = mask_padding(square, target.length).sum(axis=axes)
    return total / jnp.maximum(count, 1)
