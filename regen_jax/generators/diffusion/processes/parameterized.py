"""Processes whose network may predict one thing or another."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Estimate,
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
        self,
        prediction: jax.Array,
        noise: jax.Array,
        data: jax.Array,
        time_B: jax.Array,
    ) -> jax.Array:
        time = expand(time_B, data)
        scales = self.alpha(time), self.sigma(time)
        return self.prediction.error(prediction, noise, data, *scales)

    def estimate(
        self, prediction: jax.Array, x: jax.Array, time_B: jax.Array
    ) -> Estimate:
        time = expand(time_B, x)
        return self.prediction.estimate(
            prediction, x, self.alpha(time), self.sigma(time)
        )
