"""Fewer tokens at first than along a cosine, and more at the end."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.masked.interfaces import MaskSchedule


@dataclasses.dataclass(frozen=True)
class Arccosine(MaskSchedule):
    """Masks 2/π · arccos(progress) of the tokens.

    Besnier and Chen, arXiv 2310.14400.
    """

    def masked_fraction(self, progress: jax.Array) -> jax.Array:
        return 2 / jnp.pi * jnp.arccos(progress)
