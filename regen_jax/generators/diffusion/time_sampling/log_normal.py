"""Noise levels whose logarithm is normal."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import Process, TimeSampling
from regen_jax.random import normal_quantile
from regen_jax.ranges import Logit, Positive


@dataclasses.dataclass(frozen=True)
class LogNormal(TimeSampling):
    """Draws noise levels sigma / alpha whose logarithm is normal, at any process.

    Karras et al., arXiv 2206.00364, table 1, for `edm`. Levels beyond those of the process
    are clipped to them.

    Attributes:
      mean: of the logarithm.
      std: deviation of the logarithm.
    """

    mean: Logit = -1.2
    std: Positive = 1.2

    def quantile(self, uniform: jax.Array, process: Process) -> jax.Array:
        level = jnp.exp(self.mean + self.std * normal_quantile(uniform))
        return jnp.clip(process.time_at(level), 0, 1)
