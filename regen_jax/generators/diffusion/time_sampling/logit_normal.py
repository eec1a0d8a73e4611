"""Times in the middle more often than at the ends."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import TimeSampling


@dataclasses.dataclass(frozen=True)
class LogitNormal(TimeSampling):
    """Draws times whose logit is a standard normal; those in the middle are the hardest.

    Esser et al., arXiv 2403.03206, section 3.1.
    """

    def sample(self, keys: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(jax.vmap(jax.random.normal)(keys))
