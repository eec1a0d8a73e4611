"""Times in the middle more often than at the ends."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Process, TimeSampling
from regen_jax.random import normal_quantile
from regen_jax.ranges import Logit, Positive


@dataclasses.dataclass(frozen=True)
class LogitNormal(TimeSampling):
    """Draws times whose logit is normal; those in the middle are the hardest.

    Esser et al., arXiv 2403.03206, section 3.1.

    Attributes:
      mean: of the logit; below 0, times are nearer to noise.
      std: deviation of the logit.
    """

    mean: Logit = 0.0
    std: Positive = 1.0

    def quantile(self, uniform: jax.Array, process: Process) -> jax.Array:
        return jax.nn.sigmoid(self.mean + self.std * normal_quantile(uniform))
