"""A diffusion transformer (DiT; Peebles and Xie, 2022, arXiv 2212.09748) of any rank.

Arrays are [B, *axes, C] with any number of axes, none included.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, SelfAttention
from regen_jax.networks.conditional import Network
from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layer_stack import Layer, LayerStack
from regen_jax.networks.linear import Head, Linear
from regen_jax.networks.sinusoids import grid_positions
from regen_jax.networks.transformer_options import TransformerSize
from regen_jax.ranges import Count, Remat
from regen_jax.spaces import Array


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
    """Inverts `patchify` for examples of `shape` [*axes, C]."""
    batch = x_BxNxP.shape[0]
    *axes, channels = shape
    rank = len(axes)
    x = x_BxNxP.reshape(batch, *(n // patch for n in axes), *[patch] * rank, channels)
    pairs = [n for axis in range(1, rank + 1) for n in (axis, axis + rank)]
    return x.transpose(0, *pairs, 2 * rank + 1).reshape(batch, *shape)


def check_patch(patch: int, space: Array) -> None:
    """Raises a ValueError unless patches of that side cut the values of a space."""
    axes = space.shape[:-1]
    if any(n % patch for n in axes):
        common = math.gcd(*axes)
        divisors = ", ".join(str(n) for n in range(1, common + 1) if common % n == 0)
        raise ValueError(
            f"patch {patch} does not divide the axes of {space}; known to fit are "
            f"{divisors}"
        )


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
        layer: Layer,
        vector_BxW: jax.Array,
        keys: jax.Array | None,
        mask: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        width = x_BxLxW.shape[-1]
        modulations = modulation(vector_BxW, 6, self.dtype)

        shift, scale, gate = modulations[:3]
        y = modulated_norm(x_BxLxW, shift, scale, self.dtype)
        attention = SelfAttention(self.num_heads, self.dtype, name="self_attention")
        y, _ = attention(y, mask)
        x_BxLxW = x_BxLxW + gate * dropout(y, keys, self.dropout, 2 * layer.index)

        shift, scale, gate = modulations[3:]
        y = modulated_norm(x_BxLxW, shift, scale, self.dtype)
        y = MLP(width, self.mlp_ratio, self.dtype, name="mlp")(y)
        y = gate * dropout(y, keys, self.dropout, 2 * layer.index + 1)
        return x_BxLxW + y, None


class DiT(nn.Module):
    """Maps an array to one of `shape` under a condition.

    Attributes:
      shape: [*axes, C] of one output.
      patch: side of a patch on every axis but the channel; divides each.
      remat: see `TransformerSize`.
    """

    shape: tuple[int, ...]
    patch: int
    width: int
    num_layers: int
    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32
    remat: Remat = "none"

    @nn.compact
    def __call__(
        self,
        x_BxAxC: jax.Array | None,
        condition: Condition,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """Maps x [B, *axes, any channels] to f32[B, *shape], zero at the start.

        Args:
          x_BxAxC: the input; None where positions alone say what to generate.
          condition: its vector modulates every layer, and its tokens, put before the
            patches, are attended to. Padding is not, and outputs there mean nothing.
          keys: a key per example for dropout; None outside training.
        """
        axes, channels = self.shape[:-1], self.shape[-1]
        grid = tuple(n // self.patch for n in axes)
        patches = math.prod(grid)
        x = self.param("positions", lambda _: grid_positions(grid, self.width)).astype(
            self.dtype
        )
        x = jnp.broadcast_to(x, (condition.vector.shape[0], patches, self.width))
        if x_BxAxC is not None:
            embed = Linear(self.width, dtype=self.dtype, name="patches")
            x = x + embed(patchify(x_BxAxC, self.patch))
        mask = self._mask(condition, patches)
        if condition.tokens is not None:
            x = jnp.concatenate([condition.tokens.astype(self.dtype), x], axis=1)

        block = functools.partial(
            Block, self.num_heads, self.mlp_ratio, self.dropout, self.dtype
        )
        layers = LayerStack(block, self.num_layers, remat=self.remat, name="layers")
        x, _ = layers(x, condition.vector, keys, mask)

        shift, scale = modulation(condition.vector, 2, self.dtype)
        x = modulated_norm(x[:, -patches:], shift, scale, self.dtype)
        size = self.patch ** len(axes) * channels
        x = Head(size, self.dtype, nn.initializers.zeros, name="head")(x)
        return unpatchify(x, self.shape, self.patch)

    def _mask(self, condition: Condition, patches: int) -> jax.Array | None:
        """Returns which tokens and patches are attended to, bool[B, 1, 1, S + patches].

        None stands for all of them.
        """
        num_tokens = 0 if condition.tokens is None else condition.tokens.shape[1]
        token_mask, patch_mask = condition.token_mask, condition.frame_mask
        if token_mask is patch_mask is None:
            return None
        if patch_mask is not None:
            # A last patch that is full in part counts.
            patch_mask = patch_mask[:, :: self.patch]
            patch_mask = jnp.repeat(patch_mask, patches // patch_mask.shape[1], axis=1)
        masks = [
            jnp.ones((condition.vector.shape[0], size), bool) if mask is None else mask
            for mask, size in ((token_mask, num_tokens), (patch_mask, patches))
        ]
        return jnp.concatenate(masks, axis=1)[:, None, None]


@dataclasses.dataclass(frozen=True)
class DiTOptions(TransformerSize, Network):
    """Options of a `DiT`.

    Attributes:
      patch: side of the patches that the network sees as one token.
    """

    patch: Count = 1

    def module(self, target_space: Array) -> DiT:
        check_patch(self.patch, target_space)
        return DiT(
            shape=target_space.shape,
            patch=self.patch,
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            dtype=jnp.dtype(self.dtype),
            remat=self.remat,
        )


def modulation(vector_BxW: jax.Array, count: int, dtype: jnp.dtype) -> list[jax.Array]:
    """Returns `count` vectors [B, 1, W], zero at the start, within the calling module."""
    y = nn.Dense(
        count * vector_BxW.shape[-1],
        kernel_init=nn.initializers.zeros,
        dtype=dtype,
        name="modulation",
    )(nn.silu(vector_BxW))
    return jnp.split(y[:, None], count, axis=-1)


def modulated_norm(
    x: jax.Array, shift: jax.Array, scale: jax.Array, dtype: jnp.dtype
) -> jax.Array:
    """Normalizes x [B, L, W] by layer, with an affine map [B, 1, W] of each example."""
    y = nn.LayerNorm(epsilon=1e-6, use_bias=False, use_scale=False, dtype=dtype)(x)
    return y * (1 + scale) + shift
