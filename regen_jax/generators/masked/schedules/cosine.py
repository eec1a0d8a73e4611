"""Few tokens at first and many at the end, along a cosine."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.masked.interfaces import MaskSchedule


@dataclasses.dataclass(frozen=True)
class Cosine(MaskSchedule):
    """Masks cos(π/2 · progress) of the tokens: the first ones are revealed with most care.

    Chang et al., arXiv 2202.04200, section 3.3.
    """

    def masked_fraction(self, progress: jax.Array) -> jax.Array:
        return jnp.cos(jnp.pi / 2 * progress)
