"""Sources of several fields that all lie over the frames of a clip."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Condition, Conditioning, Estimate
from regen_jax.networks.conditioning.record import (
    check_record,
    join_conditions,
    mechanism,
)
from regen_jax.networks.conditioning.spatial import SpatialEncoder, target_estimate
from regen_jax.networks.linear import Linear
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Field, Record, Space, Value


class StepsEncoder(nn.Module):
    """Projects the vector of each step to a few channels, alike at every pixel.

    Attributes:
      channels: of the projection.
    """

    source_space: Array
    target_space: Array
    width: int
    dtype: jnp.dtype
    channels: int

    @nn.compact
    def __call__(self, source: Value, drop: jax.Array | None) -> Condition:
        # Projected before it is repeated: over all pixels, the vectors would be large.
        frames, *axes, _ = self.target_space.shape
        timeline = dataclasses.replace(self.target_space, shape=(frames, 1))
        encode = SpatialEncoder(self.source_space, timeline, self.width, self.dtype)
        condition = encode(source, drop)
        project = Linear(self.channels, dtype=self.dtype, name="project")
        y_BxTxC = project(condition.channels)
        shape = (*y_BxTxC.shape[:2], *axes, self.channels)
        y = y_BxTxC.reshape(*shape[:2], *[1] * len(axes), self.channels)
        return condition._replace(channels=jnp.broadcast_to(y, shape))


class FieldsEncoder(nn.Module):
    """Maps each field to channels over the target, and joins them."""

    source_space: Record
    target_space: Array
    width: int
    dtype: jnp.dtype
    channels: int

    @nn.compact
    def __call__(self, source: dict[str, Value], drop: jax.Array | None) -> Condition:
        return join_conditions(
            [
                self._encoder(name, field)(source[name], drop)
                for name, field in self.source_space.fields
            ]
        )

    def _encoder(self, name: str, field: Field) -> nn.Module:
        options = self.target_space, self.width, self.dtype
        if len(field.shape) == 2 < len(self.target_space.shape):
            return StepsEncoder(field, *options, self.channels, name=name)
        return SpatialEncoder(field, *options, name=name)


@dataclasses.dataclass(frozen=True)
class FieldsConditioning(Conditioning):
    """Concatenates all fields of a Record to the input channels of a clip's frames.

    Pictures are repeated in every frame. Of what keeps time with the target, such as
    speech, the vector of each frame is projected linearly and repeated over its pixels:
    `record` repeats the vector itself, of which each patch has many copies.

    For regression, the first field that is a picture or clip, and has as many channels as
    the target, is the estimate.

    Attributes:
      channels: of the projection of a vector.
    """

    channels: Count = 16

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> FieldsEncoder:
        check_record("conditioning on fields", source_space)
        for name, field in source_space.fields:
            if mechanism(field, target_space) != "spatial":
                raise ValueError(
                    "conditioning on fields needs those that lie over each frame of "
                    f"{target_space} or keep time with it, and {name} is {field}: use "
                    "'record'"
                )
        return FieldsEncoder(source_space, target_space, width, dtype, self.channels)

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        return target_estimate(source_space, target_space, source)
