"""A convolutional U-Net of images and clips (Ronneberger et al., arXiv 1505.04597)."""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.conditional import Network
from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.conv.conv2d import depth_to_space, halved
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layer_stack import Layer, LayerStack
from regen_jax.networks.layers import Conv, Dense, LayerNorm, zeros
from regen_jax.networks.sinusoids import grid_positions
from regen_jax.ranges import Count, Counts, Dropout, Dtype
from regen_jax.spaces import Array, check_constant_length


class ModulatedBlock(nn.Module):
    """x + Conv1x1(silu(Conv3x3(norm(x)))), whose norm a vector shifts and scales.

    The last kernel is zero at the start, so that a new block is the identity.
    """

    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x_BxHxWxC: jax.Array,
        layer: Layer,
        vector_BxW: jax.Array,
        keys: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        width = x_BxHxWxC.shape[-1]
        y = nn.silu(vector_BxW)
        y = Dense(2 * width, kernel_init=zeros, dtype=self.dtype, name="modulation")(y)
        shift, scale = jnp.split(y[:, None, None], 2, axis=-1)
        h = LayerNorm(use_bias=False, use_scale=False, dtype=self.dtype)(x_BxHxWxC)
        h = Conv(width, (3, 3), dtype=self.dtype)(h * (1 + scale) + shift)
        h = dropout(nn.silu(h), keys, self.dropout, layer.index)
        h = Dense(width, kernel_init=zeros, dtype=self.dtype, name="out")(h)
        return x_BxHxWxC + h, None


class UNet(nn.Module):
    """Maps an image or clip to one of `shape` under a condition.

    Each level halves height and width. Frames are channels: convolutions are over height
    and width alone, so that motion is found, and continued, alike everywhere.

    Attributes:
      shape: [H, W, C] or [T, H, W, C] of an output.
      widths: channels of each level.
      num_blocks: residual blocks per level, on either way.
    """

    shape: tuple[int, ...]
    widths: tuple[int, ...]
    num_blocks: int = 1
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x_BxAxC: jax.Array | None,
        condition: Condition,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """Maps x [B, T or none, H, W, any channels] to f32[B, *shape], zero at the start.

        Args:
          x_BxAxC: the input, of any number of frames; None for positions alone.
          condition: its vector modulates every block. Its tokens are not attended to.
          keys: one per example for dropout; None outside training.
        """
        batch = condition.vector.shape[0]
        *time, height, width, channels = self.shape
        if x_BxAxC is None:
            x = grid_positions((height, width), self.widths[0])
            x = jnp.broadcast_to(
                x.reshape(1, height, width, -1), (batch, height, width, self.widths[0])
            )
        elif time:
            x = x_BxAxC.transpose(0, 2, 3, 1, 4).reshape(batch, height, width, -1)
        else:
            x = x_BxAxC

        def blocks(x: jax.Array, name: str) -> jax.Array:
            block = functools.partial(ModulatedBlock, self.dropout, self.dtype)
            layers = LayerStack(block, self.num_blocks, name=name)
            return layers(x, condition.vector, keys)[0]

        skips = []
        for level, level_width in enumerate(self.widths):
            x = halved(x, level_width, self.dtype, "fold")
            x = blocks(x, f"down_{level}")
            skips.append(x)
        x = skips.pop()
        for level in reversed(range(len(skips))):
            x = nn.silu(x)
            x = Conv(4 * self.widths[level], (3, 3), dtype=self.dtype)(x)
            x = jnp.concatenate([depth_to_space(x), skips[level]], axis=-1)
            x = Dense(self.widths[level], dtype=self.dtype)(x)
            x = blocks(x, f"up_{level}")
        frames = math.prod(time)
        x = LayerNorm(dtype=self.dtype, name="norm")(x)
        x = Conv(
            4 * frames * channels,
            (3, 3),
            kernel_init=zeros,
            dtype=self.dtype,
            name="head",
        )(x)
        x = depth_to_space(x).astype(jnp.float32)
        if not time:
            return x
        return x.reshape(batch, height, width, frames, channels).transpose(
            0, 3, 1, 2, 4
        )


@dataclasses.dataclass(frozen=True)
class UNetOptions(Network):
    """Options of a `UNet`.

    Attributes:
      widths: channels of each level; each of the n levels halves height and width.
      num_blocks: residual blocks per level, on the way down and on the way up.
      dropout: rate within blocks.
      width: size of the vector that modulates every block.
      dtype: compute dtype.
    """

    widths: Counts = (64, 128)
    num_blocks: Count = 1
    dropout: Dropout = 0.0
    width: Count = 128
    dtype: Dtype = "float32"

    def module(self, target_space: Array) -> UNet:
        check_constant_length(target_space)
        shape, factor = target_space.shape, 2 ** len(self.widths)
        if len(shape) not in (3, 4):
            raise ValueError(
                f"a U-Net needs images [H, W, C] or clips [T, H, W, C], not {target_space}"
            )
        if any(n % factor for n in shape[-3:-1]):
            raise ValueError(
                f"widths has {len(self.widths)} levels, which reduce the resolution "
                f"{factor} times, and {factor} does not divide {shape[-3:-1]}"
            )
        dtype = jnp.dtype(self.dtype)
        return UNet(shape, self.widths, self.num_blocks, self.dropout, dtype)
