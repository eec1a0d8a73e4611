"""Frames of a clip to one vector each, given a picture of it, and back.

Both networks read the picture, so that a vector need say only what differs from it, as the
encoder of DAE-Talker does for one portrait (Du et al., arXiv 2303.17550, section 3.1).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conv.conv2d import Encoder, depth_to_space, halved
from regen_jax.networks.layers import Conv, Dense, LayerNorm, zeros

_GRID_CHANNELS = 8
"""Channels of the grid that the encoder reduces to a vector."""


class FrameEncoder(nn.Module):
    """Maps frames [B, F, H, W, C] and pictures [B, H, W, C] to vectors [B, F, out_dim].

    Attributes:
      widths: channels of each level; each halves the resolution.
      out_dim: size of a vector.
      num_blocks: residual blocks per level.
      dtype: compute dtype.
    """

    widths: tuple[int, ...]
    out_dim: int
    num_blocks: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, frames: jax.Array, pictures: jax.Array) -> jax.Array:
        beside = jnp.broadcast_to(pictures[:, None], frames.shape)
        x = jnp.concatenate([frames, beside], axis=-1)
        x = x.reshape(-1, *x.shape[2:])
        grid = Encoder(
            self.widths, _GRID_CHANNELS, self.num_blocks, self.dtype, name="encoder"
        )
        x = nn.silu(grid(x)).reshape(*frames.shape[:2], -1)
        return Dense(self.out_dim, dtype=self.dtype, name="head")(x)


class FrameDecoder(nn.Module):
    """Maps vectors [B, F, D] and pictures [B, H, W, C] to frames f32[B, F, H, W, C].

    A U-net whose skips are maps of the picture. The vector gives the coarsest grid what is
    where, and shifts and scales all levels. At the start a frame is the picture.

    Attributes:
      widths: channels of each level, as those of the encoder.
      dtype: compute dtype.
    """

    widths: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, vectors: jax.Array, pictures: jax.Array) -> jax.Array:
        batch, number, _ = vectors.shape
        maps = [pictures]
        for width in self.widths:
            maps.append(nn.silu(halved(maps[-1], width, self.dtype, "fold")))
        maps = [jnp.repeat(x, number, axis=0) for x in maps]
        z = vectors.reshape(batch * number, -1).astype(self.dtype)
        z = nn.silu(Dense(2 * self.widths[-1], dtype=self.dtype, name="vector")(z))
        grid = maps[-1].shape[1:]
        grid_size = grid[0] * grid[1] * grid[2]
        place = Dense(grid_size, dtype=self.dtype, name="grid")(z)
        x = place.reshape(-1, *grid)
        for level in reversed(range(len(self.widths))):
            x = jnp.concatenate([x, maps[level + 1]], axis=-1)
            x = Conv(self.widths[level], (3, 3), dtype=self.dtype, name=f"in_{level}")(
                x
            )
            shift, scale = jnp.split(
                Dense(2 * x.shape[-1], dtype=self.dtype, name=f"affine_{level}")(z)[
                    :, None, None
                ],
                2,
                axis=-1,
            )
            x = LayerNorm(dtype=self.dtype, name=f"norm_{level}")(x)
            x = nn.silu(x * (1 + scale) + shift)
            is_last = level == 0
            channels = pictures.shape[-1] if is_last else self.widths[level - 1]
            kernel = {"kernel_init": zeros} if is_last else {}
            conv = Conv(
                4 * channels, (3, 3), dtype=self.dtype, name=f"out_{level}", **kernel
            )
            x = depth_to_space(conv(x))
        return (maps[0] + x).reshape(batch, number, *x.shape[1:]).astype(jnp.float32)
