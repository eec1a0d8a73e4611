"""A loss term."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.losses.interface import LossTerm, Params, TermLoss
from regen_jax.spaces import Array


@dataclasses.dataclass(frozen=True)
class AbsoluteError(LossTerm):
    """Mean absolute error over the values of an example."""

    def check(self, space: Array) -> None:
        pass

    def __call__(
        self, params: Params, space: Array, prediction: jax.Array, target: jax.Array
    ) -> TermLoss:
        error = jnp.abs(prediction - target).mean(axis=(1, 2))
        return TermLoss(error, {"absolute_error": error})
