"""A diffusion transformer (DiT; Peebles and Xie, 2022, arXiv 2212.09748) of any rank.

Arrays are [B, *axes, C] with any number of axes, none included.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, SelfAttention
from regen_jax.networks.conditional import Network
from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layer_stack import Layer, LayerStack
from regen_jax.networks.layers import Dense, LayerNorm, Module, zeros
from regen_jax.networks.linear import Head, Linear
from regen_jax.networks.sinusoids import grid_positions
from regen_jax.networks.transformer_options import TransformerSize
from regen_jax.ranges import Count, Natural, Remat
from regen_jax.spaces import Array

PatchSize = int | tuple[int, ...]
"""Sizes of a patch on the axes of an array but the channel: of each, or one for all."""


def patchify(x_BxAxC: jax.Array, patch: PatchSize) -> jax.Array:
    """Cuts [B, *axes, C] into [B, N, values], patches and their values row by row."""
    batch, *axes, channels = x_BxAxC.shape
    sizes = patch_sizes(patch, len(axes))
    rank = len(axes)
    split = [
        n for axis, size in zip(axes, sizes, strict=True) for n in (axis // size, size)
    ]
    x = x_BxAxC.reshape(batch, *split, channels)
    grid, inside = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    x = x.transpose(0, *grid, *inside, 2 * rank + 1)
    values = math.prod(sizes)
    return x.reshape(batch, math.prod(axes) // values, values * channels)


def unpatchify(
    x_BxNxP: jax.Array, shape: tuple[int, ...], patch: PatchSize
) -> jax.Array:
    """Inverts `patchify` for examples of `shape` [*axes, C]."""
    batch = x_BxNxP.shape[0]
    *axes, channels = shape
    rank = len(axes)
    sizes = patch_sizes(patch, rank)
    grid = [axis // size for axis, size in zip(axes, sizes, strict=True)]
    x = x_BxNxP.reshape(batch, *grid, *sizes, channels)
    pairs = [n for axis in range(1, rank + 1) for n in (axis, axis + rank)]
    return x.transpose(0, *pairs, 2 * rank + 1).reshape(batch, *shape)


def patch_sizes(patch: PatchSize, rank: int) -> tuple[int, ...]:
    """Returns the size of a patch on each of `rank` axes."""
    return (patch,) * rank if isinstance(patch, int) else patch


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


Branch = Callable[[jax.Array], jax.Array]
"""Maps [B, L, W] to the same."""


class Block(nn.Module):
    """Pre-norm attention and MLP, shifted, scaled and gated by a vector (adaLN-Zero).

    All modulations start at zero, so that a new block is the identity.
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
        branches = self.branches(x_BxLxW.shape[-1], mask)
        modulations = modulation(vector_BxW, 3 * len(branches), self.dtype)
        for number, branch in enumerate(branches):
            shift, scale, gate = modulations[3 * number : 3 * number + 3]
            y = branch(modulated_norm(x_BxLxW, shift, scale, self.dtype))
            index = len(branches) * layer.index + number
            x_BxLxW = x_BxLxW + gate * dropout(y, keys, self.dropout, index)
        return x_BxLxW, None

    def branches(self, width: int, mask: jax.Array | None) -> list[Branch]:
        """Returns what is applied in turn, each beside a residual connection."""
        attention = SelfAttention(self.num_heads, self.dtype, name="self_attention")
        mlp = MLP(width, self.mlp_ratio, self.dtype, name="mlp")
        return [lambda y: attention(y, mask)[0], mlp]


class DiT(Module):
    """Maps an array to one of `shape` under a condition.

    Attributes:
      shape: [*axes, C] of one output.
      patch: size of a patch on every axis but the channel; divides each.
      remat: see `TransformerSize`.
    """

    shape: tuple[int, ...]
    patch: PatchSize
    width: int
    num_layers: int
    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32
    remat: Remat = "none"

    def block(self, grid: tuple[int, ...]) -> Callable[..., nn.Module]:
        """Returns what makes a block of the `LayerStack`, for a grid of patches."""
        return functools.partial(
            Block, self.num_heads, self.mlp_ratio, self.dropout, self.dtype
        )

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
        sizes = patch_sizes(self.patch, len(axes))
        grid = tuple(n // size for n, size in zip(axes, sizes, strict=True))
        patches = math.prod(grid)
        positions = self.param(
            "positions",
            lambda _, shape: grid_positions(grid, self.width),
            (patches, self.width),
        )
        x = positions.astype(self.dtype)
        x = jnp.broadcast_to(x, (condition.vector.shape[0], patches, self.width))
        if x_BxAxC is not None:
            embed = Linear(self.width, dtype=self.dtype, name="patches")
            x = x + embed(patchify(x_BxAxC, self.patch))
        mask = self._mask(condition, patches)
        if condition.tokens is not None:
            x = jnp.concatenate([condition.tokens.astype(self.dtype), x], axis=1)

        layers = LayerStack(
            self.block(grid), self.num_layers, remat=self.remat, name="layers"
        )
        x, _ = layers(x, condition.vector, keys, mask)

        shift, scale = modulation(condition.vector, 2, self.dtype)
        x = modulated_norm(x[:, -patches:], shift, scale, self.dtype)
        size = math.prod(sizes) * channels
        x = Head(size, self.dtype, zeros, name="head")(x)
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
            patch_mask = patch_mask[:, :: patch_sizes(self.patch, 1)[0]]
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
      patch_time: size of patches on the first axis of a clip [T, H, W, C] of pixels or
        latents; 0 for `patch`.
    """

    patch: Count = 1
    patch_time: Natural = 0

    network: ClassVar[type[DiT]] = DiT

    def module(self, target_space: Array) -> DiT:
        return self.network(
            shape=target_space.shape,
            patch=self._patch(target_space),
            width=self.width,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            dtype=jnp.dtype(self.dtype),
            remat=self.remat,
        )

    def _patch(self, space: Array) -> PatchSize:
        """Returns the sizes of patches.

        Raises:
          ValueError: they do not cut the values of the space.
        """
        if not self.patch_time:
            check_patch(self.patch, space)
            return self.patch
        frames = space.shape[0]
        if len(space.shape) != 4 or frames % self.patch_time:
            raise ValueError(
                "patch_time needs a target of frames, height, width and channels, whose "
                f"number of frames {self.patch_time} divides, not {space}"
            )
        check_patch(self.patch, dataclasses.replace(space, shape=space.shape[1:]))
        return (self.patch_time, self.patch, self.patch)


def modulation(vector_BxW: jax.Array, count: int, dtype: jnp.dtype) -> list[jax.Array]:
    """Returns `count` vectors [B, 1, W], zero at the start, within the calling module."""
    y = Dense(
        count * vector_BxW.shape[-1],
        kernel_init=zeros,
        dtype=dtype,
        name="modulation",
    )(nn.silu(vector_BxW))
    return jnp.split(y[:, None], count, axis=-1)


def modulated_norm(
    x: jax.Array, shift: jax.Array, scale: jax.Array, dtype: jnp.dtype
) -> jax.Array:
    """Normalizes x [B, L, W] by layer, with an affine map [B, 1, W] of each example."""
    y = LayerNorm(epsilon=1e-6, use_bias=False, use_scale=False, dtype=dtype)(x)
    return y * (1 + scale) + shift
