"""A convolutional encoder and decoder of images [B, H, W, C]."""

import functools
import math
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.layer_stack import Layer, LayerStack
from regen_jax.networks.layers import Conv, Dense, GroupNorm, LayerNorm

Norm = Literal["layer", "group"]
"""Over the channels of a position, or over an image in groups of channels."""
Downsample = Literal["fold", "stride"]
"""Folds 2 x 2 pixels into channels before a convolution, or strides over them."""

NORMS: dict[Norm, Callable[[int, jnp.dtype], nn.Module]] = {
    "layer": lambda width, dtype: LayerNorm(dtype=dtype),
    # As in latent diffusion models, whose epsilon is not the default of PyTorch.
    "group": lambda width, dtype: GroupNorm(
        math.gcd(32, width), epsilon=1e-6, dtype=dtype
    ),
}


class ResidualBlock(nn.Module):
    """x + Conv1x1(silu(Conv3x3(norm(x)))): [B, H, W, width] to the same."""

    dtype: jnp.dtype = jnp.float32
    norm: Norm = "layer"

    @nn.compact
    def __call__(self, x: jax.Array, layer: Layer) -> tuple[jax.Array, None]:
        width = x.shape[-1]
        h = NORMS[self.norm](width, self.dtype)(x)
        h = Conv(width, (3, 3), dtype=self.dtype)(h)
        h = Conv(width, (1, 1), dtype=self.dtype)(nn.silu(h))
        return x + h, None


class Encoder(nn.Module):
    """[B, H, W, C] to [B, H / 2^n, W / 2^n, out_dim] for n = len(widths).

    With `fold` each level folds 2 x 2 pixels into channels before it convolves, which
    moves the work of a strided convolution into one dense product. With `stride` it is
    that convolution, of 3 x 3 pixels and with a row and a column of zeros after the last
    ones, as in latent diffusion models (arXiv 2112.10752).
    """

    widths: tuple[int, ...]
    out_dim: int
    num_blocks: int = 1
    dtype: jnp.dtype = jnp.float32
    norm: Norm = "layer"
    downsample: Downsample = "fold"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for level, width in enumerate(self.widths):
            x = halved(x, width, self.dtype, self.downsample)
            x = _residual_blocks(
                x, self.num_blocks, self.dtype, self.norm, f"level_{level}"
            )
        x = NORMS[self.norm](x.shape[-1], self.dtype)(x)
        return Dense(self.out_dim, dtype=self.dtype)(x)


class Decoder(nn.Module):
    """[B, h, w, D] to [B, h * 2^n, w * 2^n, out_dim] for n = len(widths)."""

    widths: tuple[int, ...]
    out_dim: int
    num_blocks: int = 1
    dtype: jnp.dtype = jnp.float32
    norm: Norm = "layer"

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        x = Conv(self.widths[-1], (3, 3), dtype=self.dtype)(z)
        for level, next_width in enumerate((*self.widths[-2::-1], self.out_dim)):
            x = _residual_blocks(
                x, self.num_blocks, self.dtype, self.norm, f"level_{level}"
            )
            x = nn.silu(x)
            x = depth_to_space(Conv(4 * next_width, (3, 3), dtype=self.dtype)(x))
        return x.astype(jnp.float32)


def halved(
    x: jax.Array, width: int, dtype: jnp.dtype, downsample: Downsample
) -> jax.Array:
    """[B, H, W, C] to [B, H / 2, W / 2, width], within the calling module."""
    if downsample == "fold":
        return Conv(width, (3, 3), dtype=dtype)(space_to_depth(x))
    return Conv(width, (3, 3), 2, padding=((0, 1), (0, 1)), dtype=dtype)(x)


def _residual_blocks(
    x: jax.Array, num_blocks: int, dtype: jnp.dtype, norm: Norm, name: str
) -> jax.Array:
    """Applies the residual blocks of a level, whose parameters are stacked."""
    if not num_blocks:
        return x
    block = functools.partial(ResidualBlock, dtype=dtype, norm=norm)
    return LayerStack(block, num_blocks, name=name)(x)[0]


def space_to_depth(x: jax.Array) -> jax.Array:
    """[B, H, W, C] to [B, H / 2, W / 2, 4 C]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // 2, w // 2, 4 * c)


def depth_to_space(x: jax.Array) -> jax.Array:
    """[B, H, W, 4 C] to [B, 2 H, 2 W, C]: the inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, 2 * h, 2 * w, c // 4)
