"""The time axis of clips [B, T, H, W, C]."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.spaces import Array, Space


def is_clip(space: Space) -> bool:
    """Returns whether values of a space are clips [T, H, W, C] of constant length."""
    return isinstance(space, Array) and len(space.shape) == 4 and not space.padded


def frame_space(space: Space) -> Space:
    """Returns the space of a frame of clips [T, H, W, C]; other spaces as they are."""
    if is_clip(space):
        return dataclasses.replace(space, shape=space.shape[1:])
    return space


def fold_frames(x_BxTxA: jax.Array) -> jax.Array:
    """Returns frames as a batch: [B, T, ...] to [B T, ...]."""
    return x_BxTxA.reshape(-1, *x_BxTxA.shape[2:])


def unfold_frames(x_NxA: jax.Array, batch_size: int) -> jax.Array:
    """Returns a batch of frames as clips: [B T, ...] to [B, T, ...]."""
    return x_NxA.reshape(batch_size, -1, *x_NxA.shape[1:])


def pad_front(x_BxTxA: jax.Array, multiple: int) -> jax.Array:
    """Repeats the first frame in front until `multiple` divides the number of frames."""
    missing = -x_BxTxA.shape[1] % multiple
    if not missing:
        return x_BxTxA
    first = jnp.repeat(x_BxTxA[:, :1], missing, axis=1)
    return jnp.concatenate([first, x_BxTxA], axis=1)


def time_to_depth(x_BxTxHxWxC: jax.Array) -> jax.Array:
    """[B, T, H, W, C] to [B, T / 2, H, W, 2 C], the earlier of two frames first."""
    return jnp.concatenate([x_BxTxHxWxC[:, ::2], x_BxTxHxWxC[:, 1::2]], axis=-1)


def depth_to_time(x_BxTxHxWxC: jax.Array) -> jax.Array:
    """[B, T, H, W, 2 C] to [B, 2 T, H, W, C]: the inverse of `time_to_depth`."""
    batch, frames, *axes, channels = x_BxTxHxWxC.shape
    pairs = jnp.stack(jnp.split(x_BxTxHxWxC, 2, axis=-1), axis=2)
    return pairs.reshape(batch, 2 * frames, *axes, channels // 2)
