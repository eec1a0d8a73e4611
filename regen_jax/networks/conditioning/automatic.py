"""Conditioning chosen by the spaces of source and target."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Conditioning, Estimate
from regen_jax.networks.conditioning.spatial import SpatialConditioning, is_spatial
from regen_jax.networks.conditioning.tokens import TokenConditioning
from regen_jax.spaces import Array, Space, Value


@dataclasses.dataclass(frozen=True)
class AutomaticConditioning(Conditioning):
    """Is `spatial` where the source can be resized to the target, else `tokens`."""

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> nn.Module:
        part = _chosen(source_space, target_space)
        return part.module(source_space, target_space, width, dtype)

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        part = _chosen(source_space, target_space)
        return part.estimate(source_space, target_space, source)


def _chosen(source_space: Space, target_space: Array) -> Conditioning:
    spatial = is_spatial(source_space, target_space)
    return SpatialConditioning() if spatial else TokenConditioning()
