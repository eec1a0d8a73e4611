"""Sources of several fields, each of which enters by a mechanism of its own."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Condition, Conditioning, Estimate
from regen_jax.networks.conditioning.spatial import (
    SpatialEncoder,
    is_spatial,
    is_spatial_per_frame,
    is_time_aligned,
    target_estimate,
)
from regen_jax.networks.conditioning.tokens import TokenEncoder
from regen_jax.networks.embeddings import PictureSource, join_masks
from regen_jax.networks.picture_embedding import is_picture
from regen_jax.spaces import Array, Field, Record, Space, Value

Pictures = Literal["vector", "tokens"]
"""How pictures enter that do not lie over the target."""


class PictureEncoder(nn.Module):
    """Maps pictures to the mean of their embedding, and to its vectors as tokens."""

    source_space: Array
    width: int
    dtype: jnp.dtype
    pictures: Pictures

    @nn.compact
    def __call__(self, source: jax.Array, drop: jax.Array | None) -> Condition:
        drop = jnp.zeros(len(source), bool) if drop is None else drop
        embed = PictureSource(self.source_space, self.width, self.dtype, name="embed")
        tokens_BxSxW = embed(source, drop)
        vector_BxW = tokens_BxSxW.mean(axis=1).astype(self.dtype)
        return Condition(
            vector_BxW, tokens_BxSxW if self.pictures == "tokens" else None
        )


class RecordEncoder(nn.Module):
    """Encodes each field, and joins the conditions."""

    source_space: Record
    target_space: Array
    width: int
    dtype: jnp.dtype
    pictures: Pictures

    @nn.compact
    def __call__(
        self, source: Mapping[str, Value], drop: jax.Array | None
    ) -> Condition:
        return join_conditions(
            [
                self._encoder(name, field)(source[name], drop)
                for name, field in self.source_space.fields
            ]
        )

    def _encoder(self, name: str, field: Field) -> nn.Module:
        size = {"width": self.width, "dtype": self.dtype, "name": name}
        match mechanism(field, self.target_space):
            case "spatial":
                return SpatialEncoder(field, self.target_space, **size)
            case "picture":
                return PictureEncoder(field, pictures=self.pictures, **size)
            case "tokens":
                return TokenEncoder(field, **size)


@dataclasses.dataclass(frozen=True)
class RecordConditioning(Conditioning):
    """Has each field of a Record enter by the mechanism that its space allows.

    Fields that are time-aligned with the target, or can be resized to it or to each of its
    frames, join the input channels. Pictures that do neither are embedded by convolutions,
    all other fields as by `tokens`. Vectors are summed, tokens and channels joined.

    Attributes:
      pictures: whether pictures that do not lie over the target modulate every layer by
        the mean of their embedding alone (`vector`), or are attended to also (`tokens`).
    """

    pictures: Pictures = "vector"

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> RecordEncoder:
        check_record("record conditioning", source_space)
        return RecordEncoder(source_space, target_space, width, dtype, self.pictures)

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        return target_estimate(source_space, target_space, source)


def check_record(kind: str, source_space: Space) -> None:
    """Raises a ValueError where a kind of conditioning is given no Record."""
    if not isinstance(source_space, Record):
        raise ValueError(f"{kind} needs a Record, not {source_space}: use 'automatic'")


def mechanism(
    field: Field, target_space: Array
) -> Literal["spatial", "picture", "tokens"]:
    """Returns how a field enters a network of a target."""
    spaces = field, target_space
    resized = is_spatial(*spaces) and not field.padded
    if resized or is_time_aligned(*spaces) or is_spatial_per_frame(*spaces):
        return "spatial"
    return "picture" if is_picture(field) else "tokens"


def join_conditions(conditions: Sequence[Condition]) -> Condition:
    """Returns the condition on all: vectors summed, tokens and channels joined.

    A frame is padding where it is that of any condition.
    """
    vector_BxW = functools.reduce(jnp.add, [c.vector for c in conditions])
    with_tokens = [c for c in conditions if c.tokens is not None]
    tokens, token_mask = None, None
    if with_tokens:
        tokens = jnp.concatenate([c.tokens for c in with_tokens], axis=1)
        token_mask = join_masks(
            [c.token_mask for c in with_tokens],
            [c.tokens.shape[:2] for c in with_tokens],
        )
    channels = [c.channels for c in conditions if c.channels is not None]
    frame_masks = [c.frame_mask for c in conditions if c.frame_mask is not None]
    return Condition(
        vector_BxW,
        tokens,
        token_mask,
        jnp.concatenate(channels, axis=-1) if channels else None,
        functools.reduce(jnp.logical_and, frame_masks) if frame_masks else None,
    )
