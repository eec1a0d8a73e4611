"""A diffusion transformer (DiT; Peebles and Xie, 2022, arXiv 2212.09748) of any rank.

Arrays are [B, *axes, C] with any number of axes, none included.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.networks.attention import MLP, attend
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.linear import Head, Linear


def patchify(x_BxAxC: jax.Array, patch: int) -> jax.Array:
    """Cuts [B, *axes, C] into [B, N, patch^rank · C], patches and values row by row."""
    batch, *axes, channels = x_BxAxC.shape
    rank = len(axes)
    split = [n for axis in axes for n in (axis // patch, patch)]
    x = x_BxAxC.reshape(batch, *split, channels)
    grid, inside = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    x = x.transpose(0, *grid, *inside, 2 * rank + 1)
    return x.reshape(batch, math.prod(axes) // patch**rank, patch**rank * channels)


def unpatchify(x_BxNxP: jax.Array, shape: tuple[int, ...], patch: int) -> jax.Array:
    """The inverse of `patchify`, for one example of `shape` [*axes, C]."""
    batch = x_BxNxP.shape[0]
    *axes, channels = shape
    rank = len(axes)
    x = x_BxNxP.reshape(batch, *(n // patch for n in axes), *[patch] * rank, channels)
    pairs = [n for axis in range(1, rank + 1) for n in (axis, axis + rank)]
    return x.transpose(0, *pairs, 2 * rank + 1).reshape(batch, *shape)


def sinusoids(positions: jax.Array, size: int, longest: float = 10_000) -> jax.Array:
    """Cosines, then sines, of positions [...]: float32 [..., size], `size` even.

    Wavelengths rise geometrically from 2π to 2π · `longest` (Vaswani et al., 2017,
    arXiv 1706.03762, section 3.5).
    """
    half = size // 2
    frequencies = np.exp(-math.log(longest) / max(half, 1) * np.arange(half))
    angles = jnp.asarray(positions, jnp.float32)[..., None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def grid_positions(grid: tuple[int, ...], width: int) -> jax.Array:
    """Sinusoids of each coordinate side by side: float32 [prod(grid), width]."""
    size = 2 * (width // (2 * max(len(grid), 1)))
    coordinates = np.indices(grid).reshape(len(grid), math.prod(grid))
    table = [sinusoids(axis, size) for axis in coordinates]
    used = size * len(grid)
    return jnp.concatenate([*table, jnp.zeros((math.prod(grid), width - used))], axis=1)


class Block(nn.Module):
    """Pre-norm attention and MLP, shifted, scaled and gated by a vector (adaLN-Zero).

    All six modulations start at zero, so that a new block is the identity.
    """

    num_heads: int
    mlp_ratio: float
    dropout: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        x_BxLxW: jax.Array,
        condition_BxW: jax.Array,
        keys: jax.Array | None,
        layer: int,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        batch, length, width = x_BxLxW.shape
        modulations = modulation(condition_BxW, 6, self.dtype)

        shift, scale, gate = modulations[:3]
        y = modulated_norm(x_BxLxW, shift, scale, self.dtype)
        qkv = Linear(3 * width, dtype=self.dtype, name="qkv")(y)
        qkv = qkv.reshape(batch, length, 3, self.num_heads, width // self.num_heads)
        y = attend(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], mask)
        y = y.reshape(batch, length, width)
        y = Linear(width, dtype=self.dtype, name="out")(y)
        x_BxLxW = x_BxLxW + gate * dropout(y, keys, self.dropout, 2 * layer)

        shift, scale, gate = modulations[3:]
        y = modulated_norm(x_BxLxW, shift, scale, self.dtype)
        y = MLP(width, self.mlp_ratio, self.dtype, name="mlp")(y)
        return x_BxLxW + gate * dropout(y, keys, self.dropout, 2 * layer + 1)


class DiT(nn.Module):
    """Maps an array to one of `shape`, given a vector and, optionally, a context.

    Attributes:
      shape: [*axes, C] of one output.
      patch: side of a patch on every axis but the channel; divides each.
      remat: whether to recompute a block's activations in the backward pass.
    """

    shape: tuple[int, ...]
    patch: int
    width: int
    num_layers: int
    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32
    remat: bool = False

    @nn.compact
    def __call__(
        self,
        x_BxAxC: jax.Array | None,
        condition_BxW: jax.Array,
        context_BxSxW: jax.Array | None = None,
        keys: jax.Array | None = None,
        mask_BxL: jax.Array | None = None,
    ) -> jax.Array:
        """Maps x [B, *axes, any channels] to float32 [B, *axes, C]; zero at the start.

        Args:
          x_BxAxC: the input; None where positions alone say what to draw.
          condition_BxW: modulates every layer.
          context_BxSxW: tokens that the patches attend to, put before them.
          keys: one key an example for dropout; None outside training.
          mask_BxL: bool, which of the context and the patches may be attended to; what
            stands in the others' outputs means nothing.
        """
        axes, channels = self.shape[:-1], self.shape[-1]
        grid = tuple(n // self.patch for n in axes)
        patches = math.prod(grid)
        x = self.param("positions", lambda _: grid_positions(grid, self.width)).astype(
            self.dtype
        )
        x = jnp.broadcast_to(x, (condition_BxW.shape[0], patches, self.width))
        if x_BxAxC is not None:
            embed = Linear(self.width, dtype=self.dtype, name="patches")
            x = x + embed(patchify(x_BxAxC, self.patch))
        if context_BxSxW is not None:
            x = jnp.concatenate([context_BxSxW.astype(self.dtype), x], axis=1)

        mask = None if mask_BxL is None else mask_BxL[:, None, None]
        block = nn.remat(Block, static_argnums=(4,)) if self.remat else Block
        for layer in range(self.num_layers):
            x = block(
                self.num_heads,
                self.mlp_ratio,
                self.dropout,
                self.dtype,
                name=f"block_{layer}",
            )(x, condition_BxW, keys, layer, mask)

        shift, scale = modulation(condition_BxW, 2, self.dtype)
        x = modulated_norm(x[:, -patches:], shift, scale, self.dtype)
        size = self.patch ** len(axes) * channels
        x = Head(size, self.dtype, nn.initializers.zeros, name="head")(x)
        return unpatchify(x, self.shape, self.patch)


def modulation(
    condition_BxW: jax.Array, count: int, dtype: jnp.dtype
) -> list[jax.Array]:
    """`count` vectors [B, 1, W], all zero at the start, within the calling module."""
    y = nn.Dense(
        count * condition_BxW.shape[-1],
        kernel_init=nn.initializers.zeros,
        dtype=dtype,
        name="modulation",
    )(nn.silu(condition_BxW))
    return jnp.split(y[:, None], count, axis=-1)


def modulated_norm(
    x: jax.Array, shift: jax.Array, scale: jax.Array, dtype: jnp.dtype
) -> jax.Array:
    """Layer norm of x [B, L, W] whose affine map [B, 1, W] depends on the example."""
    y = nn.LayerNorm(epsilon=1e-6, use_bias=False, use_scale=False, dtype=dtype)(x)
    return y * (1 + scale) + shift
