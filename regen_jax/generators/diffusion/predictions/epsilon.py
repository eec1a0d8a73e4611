"""Prediction of the noise."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Prediction,
    Scales,
)


@dataclasses.dataclass(frozen=True)
class Epsilon(Prediction):
    """The network predicts E[noise | x_t] (DDPM; Ho et al., arXiv 2006.11239, eq. 14)."""

    divides_by_alpha = True

    def error(
        self, prediction: jax.Array, truth: Components, scales: Scales
    ) -> jax.Array:
        return prediction - truth.noise

    def estimate(
        self, prediction: jax.Array, x: jax.Array, scales: Scales
    ) -> Components:
        return Components((x - scales.sigma * prediction) / scales.alpha, prediction)
