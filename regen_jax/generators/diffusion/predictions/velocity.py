"""Prediction of the velocity of straight paths."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Estimate, Prediction


@dataclasses.dataclass(frozen=True)
class Velocity(Prediction):
    """The network predicts E[data - noise | x_t].

    It is the velocity of flow matching (Lipman et al., arXiv 2210.02747).
    """

    def error(
        self,
        prediction: jax.Array,
        noise: jax.Array,
        data: jax.Array,
        alpha: jax.Array,
        sigma: jax.Array,
    ) -> jax.Array:
        return prediction - (data - noise)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, alpha: jax.Array, sigma: jax.Array
    ) -> Estimate:
        total = alpha + sigma
        return Estimate(
            (x + sigma * prediction) / total, (x - alpha * prediction) / total
        )
