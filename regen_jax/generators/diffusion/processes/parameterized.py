"""Processes whose network may predict one thing or another."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Prediction,
    Process,
    expand,
)


@dataclasses.dataclass(frozen=True)
class ParameterizedProcess(Process):
    """A process with a choice of `Prediction`; subclasses say alpha and sigma.

    Attributes:
      prediction: what the network predicts.
    """

    prediction: Prediction

    def error(
        self, prediction: jax.Array, truth: Components, time_B: jax.Array
    ) -> jax.Array:
        scales = self.scales(expand(time_B, prediction))
        return self.prediction.error(prediction, truth, scales)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, time_B: jax.Array
    ) -> Components:
        scales = self.scales(expand(time_B, prediction))
        return self.prediction.estimate(prediction, x, scales)
