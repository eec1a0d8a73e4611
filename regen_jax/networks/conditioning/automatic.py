"""Conditioning chosen by the spaces of source and target."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Conditioning, Estimate
from regen_jax.networks.conditioning.record import RecordConditioning
from regen_jax.networks.conditioning.spatial import (
    SpatialConditioning,
    determines_length,
    is_spatial,
)
from regen_jax.networks.conditioning.tokens import TokenConditioning
from regen_jax.spaces import Array, Record, Space, Value


@dataclasses.dataclass(frozen=True)
class AutomaticConditioning(Conditioning):
    """Is `record` for a Record, else `spatial` where the source lies over the target.

    That is a source that can be resized to the target, or whose length is the target's.
    Otherwise it is `tokens`.
    """

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
    if isinstance(source_space, Record):
        return RecordConditioning()
    spaces = source_space, target_space
    if is_spatial(*spaces) or determines_length(*spaces):
        return SpatialConditioning()
    return TokenConditioning()
