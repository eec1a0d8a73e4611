"""The cosine schedule."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import NoiseSchedule, Scales
from regen_jax.ranges import Positive


@dataclasses.dataclass(frozen=True)
class Cosine(NoiseSchedule):
    """alpha = cos(c (1 - t)) and sigma = sin(c (1 - t)).

    Nichol and Dhariwal, arXiv 2102.09672, equation 17, in continuous time. In place of
    their offset and clipping, c keeps alpha above 0 at time 0.

    Attributes:
      max_noise_level: sigma / alpha at time 0; the default is that of `linear`.
    """

    max_noise_level: Positive = 152.0

    def scales(self, time: jax.Array) -> Scales:
        angle = self._angle * (1 - time)
        return Scales(jnp.cos(angle), jnp.sin(angle))

    def time_at(self, noise_level: jax.Array) -> jax.Array:
        return 1 - jnp.arctan(noise_level) / self._angle

    @property
    def _angle(self) -> float:
        return math.atan(self.max_noise_level)
