"""The first frames of a clip as the source of those that follow."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.video.block_motion import block_motion, moved_on
from regen_jax.networks.conditioning.interface import (
    Condition,
    Conditioning,
    Estimate,
)
from regen_jax.networks.layers import Module, normal
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import Array, Space, Value

_FLOOR = 0.01
"""Least change, in units of half the range: a bit more than a gray level of 8 bits."""


def precedes(source_space: Space, target_space: Array) -> bool:
    """Returns whether a source can be frames [T, H, W, C] before those of a target.

    Height and width of the target, which may be latents, divide those of the source; the
    numbers of frames are free, but of two or more in the source.
    """
    return (
        isinstance(source_space, Array)
        and not source_space.padded
        and len(source_space.shape) == len(target_space.shape) == 4
        and source_space.shape[0] > 1
        and source_space.shape[1] % target_space.shape[1] == 0
        and source_space.shape[2] % target_space.shape[2] == 0
    )


def change_scale(frames: jax.Array, window: int) -> jax.Array:
    """Returns how much frames change from one to the next, near each pixel.

    It is the root mean square over channels, frames and a window, and at least `_FLOOR`.

    Args:
      frames: normalized, f32[B, T, H, W, C].
      window: side of the window in pixels, odd; 0 for the whole frame.

    Returns:
      f32[B, H, W, 1].
    """
    squares = jnp.mean(jnp.diff(frames, axis=1) ** 2, axis=(1, 4))[..., None]
    if window:
        margin = (0, 0), *[(window // 2, window // 2)] * 2, (0, 0)
        squares = nn.avg_pool(jnp.pad(squares, margin, mode="edge"), (window, window))
    else:
        mean = squares.mean(axis=(1, 2), keepdims=True)
        squares = jnp.broadcast_to(mean, squares.shape)
    return jnp.sqrt(squares + _FLOOR**2)


def blocks(frames: jax.Array, rows: int, columns: int) -> jax.Array:
    """Cuts frames [B, T, H, W, C] into blocks: [B, T, rows, columns, pixels, C]."""
    batch, time, height, width, channels = frames.shape
    sides = rows, height // rows, columns, width // columns
    x = frames.reshape(batch, time, *sides, channels).transpose(0, 1, 2, 4, 3, 5, 6)
    return x.reshape(batch, time, rows, columns, -1, channels)


def assign_source_frames(num_given: int, num_targets: int) -> np.ndarray:
    """Returns the source frames concatenated to each target frame, cyclically: i64[T, n].

    Each target frame has one, or as many as are needed for all to be used.
    """
    number = -(-num_given // num_targets)
    frames = np.arange(num_targets)[:, None] + num_targets * np.arange(number)
    return frames % num_given


class FramesEncoder(Module):
    """Maps frames to channels over the target, zeros where they are dropped."""

    source_space: Array
    target_space: Array
    width: int
    dtype: jnp.dtype
    frames_per_target: int = 1
    window: int = 5

    @nn.compact
    def __call__(self, source: Value, drop: jax.Array | None) -> Condition:
        x = self.source_space.normalize(source)
        scale, last = change_scale(x, self.window)[:, None], x[:, -1:]
        time, rows, columns, _ = self.target_space.shape
        motion = block_motion((x[:, -2] + 1) / 2, (x[:, -1] + 1) / 2)
        step = self.frames_per_target
        times = step * jnp.arange(time) + (step + 1) / 2
        moved = (moved_on(x[:, -1], motion, times) - last) / scale
        given = jnp.concatenate([(x[:, :-1] - last) / scale, last], axis=1)
        given = blocks(given, rows, columns)[:, assign_source_frames(x.shape[1], time)]
        given = given.transpose(0, 1, 3, 4, 2, 5, 6)
        level = blocks(jnp.log(scale), rows, columns).mean(axis=-2)
        channels = jnp.concatenate(
            [
                given.reshape(*given.shape[:4], -1),
                blocks(moved, rows, columns).reshape(*given.shape[:4], -1),
                jnp.repeat(level, time, axis=1),
            ],
            axis=-1,
        )
        vector_BxW = jnp.zeros((len(channels), self.width), self.dtype)
        if drop is not None:
            null = self.param("null", normal, (self.width,)).astype(self.dtype)
            vector_BxW = jnp.where(drop[:, None], null, vector_BxW)
            channels = jnp.where(drop[:, None, None, None, None], 0, channels)
        return Condition(vector_BxW, channels=channels)


@dataclasses.dataclass(frozen=True)
class FramesConditioning(Conditioning):
    """Concatenates the frames of the source to the input channels of the target frames.

    They are the last frame, and the differences of the others from it in units of
    `change_scale`. Each target frame has one of them, or as many as needed, see
    `assign_source_frames`: a network joins them, by patches, attention or channels. Each
    also has the last frame moved on to its time by the motion of blocks
    (`regen_jax.modalities.video`). Where the target has a lower resolution, as latents
    have, the pixels of a block are channels.

    For regression of frames in the range of the source, the last frame, averaged over
    blocks, is the estimate of each target frame, and `change_scale` its scale: where
    nothing moves near a pixel, the prediction cannot go far from it.

    Attributes:
      frames_per_target: frames at the rate of the source that one of the target is for, as
        of latents or key frames.
      window: side, odd, of the neighborhood of a pixel that is near to it; 0 for the whole
        frame, where things move far within the target.
    """

    frames_per_target: Count = 1
    window: Natural = 5

    def __post_init__(self):
        super().__post_init__()
        if self.window and self.window % 2 == 0:
            raise ValueError(f"window must be odd, or 0, not {self.window}")

    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> FramesEncoder:
        if not precedes(source_space, target_space):
            raise ValueError(
                "conditioning on frames needs a source [T, H, W, C] of two frames or more "
                "and a target [_, h, w, _] whose h and w divide H and W, not "
                f"{source_space} and {target_space}"
            )
        options = self.frames_per_target, self.window
        return FramesEncoder(source_space, target_space, width, dtype, *options)

    def check_abstracted(self, target_space: Array, y_space: Space) -> None:
        if not isinstance(y_space, Array) or len(y_space.shape) != 4:
            return
        frames, targets = y_space.shape[0], target_space.shape[0]
        # Abstractions of clips may pad them to a multiple.
        covering = -(-frames // self.frames_per_target)
        if targets <= frames and covering != targets:
            raise ValueError(
                "conditioning.frames_per_target must be "
                f"{-(-frames // targets)}, for Y′ of {targets} frames and Y of {frames}, "
                f"not {self.frames_per_target}"
            )

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        if _units(source_space) != _units(target_space):
            return None
        x = source_space.normalize(source)
        time, rows, columns, _ = target_space.shape
        mean, scale = (
            blocks(frame, rows, columns).mean(axis=-2)
            for frame in (x[:, -1:], change_scale(x, self.window)[:, None])
        )
        return Estimate(jnp.repeat(mean, time, axis=1), scale)


def _units(space: Array) -> tuple[float, float, int]:
    """Returns what frames of two spaces share that compare pixel by pixel."""
    return space.low, space.high, space.shape[-1]
