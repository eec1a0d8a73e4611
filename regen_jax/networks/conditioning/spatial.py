"""Sources that lie over the axes of the target: they join the network's input channels."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conditioning.interface import Condition, Conditioning, Estimate
from regen_jax.networks.layers import Module, normal
from regen_jax.spaces import (
    Array,
    Padded,
    Record,
    Space,
    Value,
    length_mask,
    mask_padding,
)


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


def is_time_aligned(source_space: Space, target_space: Array) -> bool:
    """Returns whether a source is time-aligned with the target.

    The first axis of one divides that of the other. What the source has at each time is a
    vector, or can be resized to what the target has.
    """
    if not isinstance(source_space, Array) or len(source_space.shape) < 2:
        return False
    if not _has_time(target_space) or source_space.padded > target_space.padded:
        return False
    steps, frames = source_space.shape[0], target_space.shape[0]
    return not (steps % frames and frames % steps) and (
        len(source_space.shape) == 2
        or is_spatial(_frame(source_space), _frame(target_space))
    )


def is_spatial_per_frame(source_space: Space, target_space: Array) -> bool:
    """Returns whether a source can be resized to each frame of the target."""
    return (
        isinstance(source_space, Array)
        and not source_space.padded
        and _has_time(target_space)
        and is_spatial(source_space, _frame(target_space))
    )


def _has_time(space: Array) -> bool:
    """Returns whether values are sequences of vectors or of pictures."""
    return len(space.shape) in (2, 4)


def _frame(space: Array) -> Array:
    """Returns the space of a value at one place of the first axis."""
    return dataclasses.replace(space, shape=space.shape[1:], padded=False)


def resize_condition(
    source_space: Array, target_space: Array, source: Value
) -> jax.Array:
    """Normalizes a source and resizes it, linearly, to the axes of the target.

    A time-aligned source is not resized along the first axis: of several of its steps per
    frame, the channels are joined. One without time is repeated for each frame.

    Returns:
      f32[B, *target axes, channels].
    """
    if isinstance(source, Padded):
        values = mask_padding(source_space.normalize(source.values), source.length)
    else:
        values = source_space.normalize(source)
    if is_spatial(source_space, target_space) and not source_space.padded:
        shape = (len(values), *target_space.shape[:-1], values.shape[-1])
        return jax.image.resize(values, shape, "linear")
    frames, *axes = target_space.shape[:-1]
    if is_time_aligned(source_space, target_space):
        values = _fold_steps(values, frames)
    else:
        values = values[:, None]
    shape = (*values.shape[:2], *axes, values.shape[-1])
    if values.ndim == len(shape):
        values = jax.image.resize(values, shape, "linear")
    else:
        values = values.reshape(*shape[:2], *[1] * len(axes), shape[-1])
    return jnp.broadcast_to(values, (shape[0], frames, *axes, shape[-1]))


def _fold_steps(values: jax.Array, frames: int) -> jax.Array:
    """Maps [B, S, *axes, C] to [B, frames, *axes, S / frames · C], or repeats steps."""
    batch, steps, *axes, _ = values.shape
    if steps <= frames:
        return values if steps == frames else jnp.repeat(values, frames // steps, 1)
    values = values.reshape(batch, frames, steps // frames, *values.shape[2:])
    return jnp.moveaxis(values, 2, -2).reshape(batch, frames, *axes, -1)


def determines_length(source_space: Space, target_space: Array) -> bool:
    """Returns whether the length of a target is that of its source, or of a field."""
    if isinstance(source_space, Record):
        return any(
            determines_length(field, target_space) for _, field in source_space.fields
        )
    return is_time_aligned(source_space, target_space) and source_space.padded


def target_length(source_space: Space, target_space: Array, source: Any) -> jax.Array:
    """Returns i32[B], the frames of the target that a source covers, in part at least.

    Only where `determines_length`; of several fields of a Record, the shortest counts.
    """
    if isinstance(source_space, Record):
        by_field = [
            target_length(field, target_space, source[name])
            for name, field in source_space.fields
            if determines_length(field, target_space)
        ]
        return functools.reduce(jnp.minimum, by_field)
    steps, frames = source_space.shape[0], target_space.shape[0]
    return -(-source.length * frames // steps)


def target_estimate(
    source_space: Space, target_space: Array, source: Any
) -> Estimate | None:
    """Returns what a spatial source says of the normalized target.

    It is the estimate in `AlignedFeatures`, and else a source itself, resized, that has as
    many channels as the target; of a Record, the first field that is a picture or clip and
    gives one. None where there is none.
    """
    if isinstance(source_space, AlignedFeatures):
        return Estimate(source.values[..., : target_space.shape[-1]])
    if isinstance(source_space, Record):
        for name, field in source_space.fields:
            if isinstance(field, Array) and len(field.shape) > 2:
                estimate = target_estimate(field, target_space, source[name])
                if estimate is not None:
                    return estimate
        return None
    spaces = source_space, target_space
    is_frame = is_spatial_per_frame(*spaces) and len(source_space.shape) == 3
    if not (is_frame or is_spatial(*spaces)):
        return None
    if source_space.shape[-1] != target_space.shape[-1]:
        return None
    return Estimate(resize_condition(source_space, target_space, source))


class SpatialEncoder(Module):
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
            null = self.param("null", normal, (self.width,)).astype(self.dtype)
            vector_BxW = jnp.where(drop[:, None], null, vector_BxW)
            dropped = drop.reshape(-1, *[1] * (channels.ndim - 1))
            channels = jnp.where(dropped, 0, channels)
        frame_mask = None
        if determines_length(self.source_space, self.target_space):
            length = target_length(self.source_space, self.target_space, source)
            frame_mask = length_mask(length, self.target_space.shape[0])
        return Condition(vector_BxW, channels=channels, frame_mask=frame_mask)


@dataclasses.dataclass(frozen=True)
class SpatialConditioning(Conditioning):
    """Concatenates the source to the input channels; a dropped one also has a vector."""

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> SpatialEncoder:
        kinds = (is_spatial, is_time_aligned, is_spatial_per_frame)
        if not any(fits(source_space, target_space) for fits in kinds):
            raise ValueError(
                "spatial conditioning needs an Array whose axes divide those of "
                f"{target_space}, or of each of its frames, not {source_space}"
            )
        return SpatialEncoder(source_space, target_space, width, dtype)

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        return target_estimate(source_space, target_space, source)
