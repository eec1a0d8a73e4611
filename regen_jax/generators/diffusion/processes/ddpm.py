"""The process of DDPM."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    NoiseSchedule,
    Prediction,
    Scales,
)
from regen_jax.generators.diffusion.noise_schedules.cosine import Cosine
from regen_jax.generators.diffusion.predictions.v import V
from regen_jax.generators.diffusion.processes.parameterized import ParameterizedProcess


@dataclasses.dataclass(frozen=True)
class DDPM(ParameterizedProcess):
    """A process that preserves variance, alpha² + sigma² = 1, in continuous time.

    Ho et al., arXiv 2006.11239; Song et al., arXiv 2011.13456.

    Attributes:
      prediction: what the network predicts: `epsilon`, as in DDPM, or `v`.
      schedule: alpha and sigma by time.
    """

    prediction: Prediction = dataclasses.field(default_factory=V)
    schedule: NoiseSchedule = dataclasses.field(default_factory=Cosine)

    def scales(self, time: jax.Array) -> Scales:
        return self.schedule.scales(time)

    def time_at(self, noise_level: jax.Array) -> jax.Array:
        return self.schedule.time_at(noise_level)
