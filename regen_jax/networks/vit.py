"""Vision transformers between images and a grid of latents.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (arXiv 2010.11929); as the encoder and
decoder of an autoencoder after Yu et al., "Vector-Quantized Image Modeling with Improved
VQGAN" (arXiv 2110.04627), section 3.1.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.block import Block
from regen_jax.networks.dit import patchify, unpatchify
from regen_jax.networks.layer_stack import LayerStack
from regen_jax.networks.linear import Head, Linear
from regen_jax.networks.sinusoids import grid_positions
from regen_jax.ranges import Remat


class GridTransformer(nn.Module):
    """Vectors [B, prod(grid), any] to [B, prod(grid), width], each attending to all.

    Attributes:
      grid: where the vectors lie, row by row. Their learned positions start as sinusoids
        of each coordinate.
      remat: see `LayerStack`.
    """

    grid: tuple[int, ...]
    width: int
    num_layers: int
    num_heads: int
    mlp_ratio: float = 4.0
    remat: Remat = "none"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxNxC: jax.Array) -> jax.Array:
        positions = self.param("positions", lambda _: self._sinusoids())
        x = Linear(self.width, dtype=self.dtype, name="in")(x_BxNxC)
        x = x + positions.astype(self.dtype)
        block = functools.partial(
            Block, self.num_heads, self.mlp_ratio, dtype=self.dtype
        )
        layers = LayerStack(block, self.num_layers, remat=self.remat, name="layers")
        x, _ = layers(x)
        return nn.LayerNorm(dtype=self.dtype, name="norm")(x)

    def _sinusoids(self) -> jax.Array:
        return grid_positions(self.grid, self.width)


class Encoder(nn.Module):
    """Images [B, H, W, C] to latents [B, H / patch, W / patch, out_dim]."""

    patch: int
    out_dim: int
    transformer: GridTransformer

    @nn.compact
    def __call__(self, x_BxHxWxC: jax.Array) -> jax.Array:
        x = self.transformer(patchify(x_BxHxWxC, self.patch))
        z = Linear(self.out_dim, dtype=self.transformer.dtype, name="out")(x)
        return z.reshape(-1, *self.transformer.grid, self.out_dim)


class Decoder(nn.Module):
    """Latents [B, h, w, D] to images f32[B, *shape]."""

    patch: int
    shape: tuple[int, int, int]
    transformer: GridTransformer

    @nn.compact
    def __call__(self, z_BxHxWxD: jax.Array) -> jax.Array:
        batch, *_, channels = z_BxHxWxD.shape
        x = self.transformer(z_BxHxWxD.reshape(batch, -1, channels))
        size = self.patch**2 * self.shape[-1]
        x = Head(size, self.transformer.dtype, name="head")(x)
        return unpatchify(x, self.shape, self.patch)
