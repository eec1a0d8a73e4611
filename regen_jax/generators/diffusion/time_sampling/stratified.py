"""Times that are spread evenly over a batch."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Process, TimeSampling
from regen_jax.generators.diffusion.time_sampling.logit_normal import LogitNormal
from regen_jax.random import stratified_uniform


@dataclasses.dataclass(frozen=True)
class Stratified(TimeSampling):
    """Draws the times of a training step at even quantiles of another density.

    Kingma et al., arXiv 2107.00630, appendix I.1: the loss of a step varies less. Each time
    alone has that density, and outside of a training step times are independent.

    Attributes:
      density: of the times.
    """

    density: TimeSampling = dataclasses.field(default_factory=LogitNormal)

    def quantile(self, uniform: jax.Array, process: Process) -> jax.Array:
        return self.density.quantile(uniform, process)

    def sample(self, keys: jax.Array, process: Process) -> jax.Array:
        return self.quantile(stratified_uniform(keys), process)
