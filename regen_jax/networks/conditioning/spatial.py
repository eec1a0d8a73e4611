"""Sources that lie over the axes of the target: they join the network's input channels."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Condition, Conditioning, Estimate
from regen_jax.networks.embeddings import INIT
from regen_jax.spaces import Array, Padded, Space, Value, length_mask


@dataclasses.dataclass(frozen=True)
class AlignedFeatures(Array):
    """Features [T, C] of each frame of a target, whose length they have.

    The first channels, as many as the target has, are an estimate of the normalized
    target.
    """

    padded: bool = True


def is_spatial(source_space: Space, target_space: Array) -> bool:
    """Returns whether a source can be resized to the target: its axes divide those."""
    return (
        isinstance(source_space, Array)
        and len(source_space.shape) == len(target_space.shape)
        and all(
            fine % coarse == 0
            for fine, coarse in zip(
                target_space.shape[:-1], source_space.shape[:-1], strict=True
            )
        )
    )


def resize_condition(
    source_space: Array, target_space: Array, source: Value
) -> jax.Array:
    """Normalizes a source and resizes it, linearly, to the axes of the target.

    Returns:
      f32[B, *target axes, channels of the source].
    """
    values = source.values if isinstance(source, Padded) else source
    shape = (values.shape[0], *target_space.shape[:-1], source_space.shape[-1])
    return jax.image.resize(source_space.normalize(values), shape, "linear")


def target_estimate(
    source_space: Space, target_space: Array, source: Value
) -> jax.Array | None:
    """Returns what a spatial source says of the normalized target: f32[B, *target.shape].

    It is the estimate in `AlignedFeatures`, and else a source itself, resized, that has as
    many channels as the target. None where there is neither.
    """
    if isinstance(source_space, AlignedFeatures):
        return source.values[..., : target_space.shape[-1]]
    if not is_spatial(source_space, target_space):
        return None
    if source_space.shape[-1] != target_space.shape[-1]:
        return None
    return resize_condition(source_space, target_space, source)


class SpatialEncoder(nn.Module):
    """Maps a spatial source to channels over the target, zeros where it is dropped."""

    source_space: Array
    target_space: Array
    width: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, source: Value, drop: jax.Array | None) -> Condition:
        channels = resize_condition(self.source_space, self.target_space, source)
        vector_BxW = jnp.zeros((channels.shape[0], self.width), self.dtype)
        if drop is not None:
            null = self.param("null", INIT, (self.width,)).astype(self.dtype)
            vector_BxW = jnp.where(drop[:, None], null, vector_BxW)
            dropped = drop.reshape(-1, *[1] * (channels.ndim - 1))
            channels = jnp.where(dropped, 0, channels)
        frame_mask = None
        if isinstance(source, Padded):
            frame_mask = length_mask(source.length, self.target_space.shape[0])
        return Condition(vector_BxW, channels=channels, frame_mask=frame_mask)


@dataclasses.dataclass(frozen=True)
class SpatialConditioning(Conditioning):
    """Concatenates the source to the input channels; a dropped one also has a vector."""

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> SpatialEncoder:
        if not is_spatial(source_space, target_space):
            raise ValueError(
                "spatial conditioning needs an Array whose axes divide those of "
                f"{target_space}, not {source_space}"
            )
        return SpatialEncoder(source_space, target_space, width, dtype)

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        mean = target_estimate(source_space, target_space, source)
        return None if mean is None else Estimate(mean)
