"""Times that are all alike."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Process, TimeSampling


@dataclasses.dataclass(frozen=True)
class Uniform(TimeSampling):
    """Draws times uniformly from [0, 1)."""

    def quantile(self, uniform: jax.Array, process: Process) -> jax.Array:
        return uniform
