"""Prediction of v."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Prediction,
    Scales,
)


@dataclasses.dataclass(frozen=True)
class V(Prediction):
    """The network predicts v = alpha noise - sigma data.

    Progressive distillation (Salimans and Ho, arXiv 2202.00512, section 4 and appendix D).
    It says as much of data as of noise at every time, where noise alone says little of
    data near time 0.
    """

    def error(
        self, prediction: jax.Array, truth: Components, scales: Scales
    ) -> jax.Array:
        alpha, sigma = scales
        return prediction - (alpha * truth.noise - sigma * truth.data)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, scales: Scales
    ) -> Components:
        alpha, sigma = scales
        # 1 where the variance is preserved.
        norm = jnp.square(alpha) + jnp.square(sigma)
        return Components(
            (alpha * x - sigma * prediction) / norm,
            (sigma * x + alpha * prediction) / norm,
        )
