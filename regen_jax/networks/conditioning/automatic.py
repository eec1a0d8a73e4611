"""Conditioning chosen by the spaces of source and target."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Conditioning
from regen_jax.networks.conditioning.spatial import SpatialConditioning, is_spatial
from regen_jax.networks.conditioning.tokens import TokenConditioning
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True)
class AutomaticConditioning(Conditioning):
    """Is `spatial` where the source can be resized to the target, else `tokens`."""

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> nn.Module:
        spatial = is_spatial(source_space, target_space)
        part = SpatialConditioning() if spatial else TokenConditioning()
        return part.module(source_space, target_space, width, dtype)
