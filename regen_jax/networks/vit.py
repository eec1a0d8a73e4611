"""Vision transformers between images, or clips, and a grid of latents.

Dosovitskiy et al., "An Image is Worth 16x16 Words" (arXiv 2010.11929); as the encoder and
decoder of an autoencoder after Yu et al., "Vector-Quantized Image Modeling with Improved
VQGAN" (arXiv 2110.04627), section 3.1.
"""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.block import Block
from regen_jax.networks.dit import PatchSize, patch_sizes, patchify, unpatchify
from regen_jax.networks.layer_stack import LayerStack
from regen_jax.networks.layers import LayerNorm, Module
from regen_jax.networks.linear import Head, Linear
from regen_jax.networks.sinusoids import grid_positions
from regen_jax.networks.transformer_options import TransformerShape
from regen_jax.ranges import Remat


class GridTransformer(Module):
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

    def block(self) -> Callable[..., nn.Module]:
        """Returns what makes a block of the `LayerStack`."""
        size = self.size
        return functools.partial(
            Block, size.num_heads, size.mlp_ratio, dtype=self.dtype
        )

    @nn.compact
    def __call__(self, x_BxNxC: jax.Array) -> jax.Array:
        size, dtype = self.size, self.dtype
        x = Linear(size.width, dtype=dtype, name="in")(x_BxNxC)
        positions = self.param(
            "positions",
            lambda _, shape: grid_positions(self.grid, size.width),
            (math.prod(self.grid), size.width),
        )
        x = x + positions.astype(dtype)
        layers = LayerStack(
            self.block(), size.num_layers, remat=self.remat, name="layers"
        )
        x, _ = layers(x)
        return LayerNorm(dtype=dtype, name="norm")(x)


class Encoder(nn.Module):
    """Images or clips [B, *axes, C] to latents [B, *grid, out_dim], one per patch."""

    patch: PatchSize
    out_dim: int
    transformer: GridTransformer

    @nn.compact
    def __call__(self, x_BxAxC: jax.Array) -> jax.Array:
        x = self.transformer(patchify(x_BxAxC, self.patch))
        z = Linear(self.out_dim, dtype=self.transformer.dtype, name="out")(x)
        return z.reshape(-1, *self.transformer.grid, self.out_dim)


class Decoder(nn.Module):
    """Latents [B, *grid, D] to images or clips f32[B, *shape].

    Where the patches have more frames than `shape`, it is the last ones.
    """

    patch: PatchSize
    shape: tuple[int, ...]
    transformer: GridTransformer

    @nn.compact
    def __call__(self, z_BxGxD: jax.Array) -> jax.Array:
        batch, *grid, width = z_BxGxD.shape
        x = self.transformer(z_BxGxD.reshape(batch, -1, width))
        sizes, channels = patch_sizes(self.patch, len(grid)), self.shape[-1]
        num_values = math.prod(sizes) * channels
        x = Head(num_values, self.transformer.dtype, name="head")(x)
        axes = [n * size for n, size in zip(grid, sizes, strict=True)]
        return unpatchify(x, (*axes, channels), self.patch)[:, -self.shape[0] :]
