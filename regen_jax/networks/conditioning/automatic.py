"""Conditioning chosen by the spaces of source and target."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Conditioning
from regen_jax.networks.conditioning.record import RecordConditioning
from regen_jax.networks.conditioning.spatial import (
    SpatialConditioning,
    gives_length,
    is_spatial,
)
from regen_jax.networks.conditioning.tokens import TokenConditioning
from regen_jax.spaces import Array, Record, Space


@dataclasses.dataclass(frozen=True)
class AutomaticConditioning(Conditioning):
    """Is `record` for a Record, else `spatial` where the source lies over the target.

    That is a source that can be resized to the target, or whose length is the target's.
    Otherwise it is `tokens`.
    """

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> nn.Module:
        spaces = source_space, target_space
        part: Conditioning
        if isinstance(source_space, Record):
            part = RecordConditioning()
        elif is_spatial(*spaces) or gives_length(*spaces):
            part = SpatialConditioning()
        else:
            part = TokenConditioning()
        return part.module(*spaces, width, dtype)
