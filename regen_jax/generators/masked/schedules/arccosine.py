"""Fewer tokens at first than along a cosine, and more at the end."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.masked.interfaces import MaskSchedule


@dataclasses.dataclass(frozen=True)
class Arccosine(MaskSchedule):
    """Masks 2/π · arccos(progress) of the tokens.

    Besnier et al., arXiv 2503.17076, for their Halton order.
    """

    def masked_fraction(self, progress: jax.Array) -> jax.Array:
        return 2 / jnp.pi * jnp.arccos(progress)
