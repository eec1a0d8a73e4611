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
from regen_jax.networks.transformer_options import TransformerShape
from regen_jax.ranges import Remat


class GridTransformer(nn.Module):
    """Vectors [B, prod(grid), any] to [B, prod(grid), size.width], each attending to all.

    Attributes:
      grid: where the vectors lie, row by row. Their learned positions start as sinusoids
        of each coordinate.
      remat: see `LayerStack`.
    """

    grid: tuple[int, ...]
    size: TransformerShape
    remat: Remat = "none"

    @property
    def dtype(self) -> jnp.dtype:
        """That of the result."""
        return jnp.dtype(self.size.dtype)

    @nn.compact
    def __call__(self, x_BxNxC: jax.Array) -> jax.Array:
        size, dtype = self.size, self.dtype
        x = Linear(size.width, dtype=dtype, name="in")(x_BxNxC)
        start = grid_positions(self.grid, size.width)
        x = x + self.param("positions", lambda _: start).astype(dtype)
        block = functools.partial(Block, size.num_heads, size.mlp_ratio, dtype=dtype)
        layers = LayerStack(block, size.num_layers, remat=self.remat, name="layers")
        x, _ = layers(x)
        return nn.LayerNorm(dtype=dtype, name="norm")(x)


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
