"""Prediction of the velocity of straight paths."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Prediction,
    Scales,
)


@dataclasses.dataclass(frozen=True)
class Velocity(Prediction):
    """The network predicts E[data - noise | x_t].

    It is the velocity of flow matching (Lipman et al., arXiv 2210.02747).
    """

    def error(
        self, prediction: jax.Array, truth: Components, scales: Scales
    ) -> jax.Array:
        return prediction - (truth.data - truth.noise)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, scales: Scales
    ) -> Components:
        alpha, sigma = scales
        total = alpha + sigma
        return Components(
            (x + sigma * prediction) / total, (x - alpha * prediction) / total
        )
