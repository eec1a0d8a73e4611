"""Prediction of the data."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Prediction,
    Scales,
)
from regen_jax.ranges import PositiveFraction


@dataclasses.dataclass(frozen=True)
class X(Prediction):
    """The network predicts E[data | x_t]; the loss is that of the velocity data - noise.

    JiT (Li and He, arXiv 2511.13720): data lie on a manifold and noise does not, so that a
    network whose patches have more values than its width can predict data alone. The
    velocity of a prediction differs by (alpha + sigma) / sigma times the error of the data.

    Attributes:
      min_sigma: bounds the divisor in the loss from below.
    """

    min_sigma: PositiveFraction = 0.05

    def error(
        self, prediction: jax.Array, truth: Components, scales: Scales
    ) -> jax.Array:
        alpha, sigma = scales
        factor = (alpha + sigma) / jnp.maximum(sigma, self.min_sigma)
        return factor * (prediction - truth.data)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, scales: Scales
    ) -> Components:
        alpha, sigma = scales
        # No solver asks at sigma 0, where the noise does not show in x_t.
        divisor = jnp.where(sigma > 0, sigma, 1)
        return Components(prediction, (x - alpha * prediction) / divisor)
