"""Times that are all alike."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import TimeSampling


@dataclasses.dataclass(frozen=True)
class Uniform(TimeSampling):
    """Draws times uniformly from [0, 1)."""

    def sample(self, keys: jax.Array) -> jax.Array:
        return jax.vmap(jax.random.uniform)(keys)
