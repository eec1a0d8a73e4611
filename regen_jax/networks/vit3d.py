"""Transformers of clips whose attention is factorized into space and time.

Arnab et al., "ViViT: A Video Vision Transformer" (arXiv 2103.15691), section 3.3.3
(factorised self-attention): each block attends within a frame, then over time at a
position.
"""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, SelfAttention
from regen_jax.networks.layer_stack import Layer, Params
from regen_jax.networks.layers import LayerNorm
from regen_jax.networks.vit import GridTransformer


class ViTSpaceTimeBlock(nn.Module):
    """Attention within each frame, attention over time, and an MLP, all pre-norm.

    Attributes:
      grid: numbers (t, h, w) of the vectors, which lie row by row.
      causal: whether a vector attends to no later frame.
    """

    grid: tuple[int, int, int]
    num_heads: int
    mlp_ratio: float = 4.0
    causal: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxNxW: jax.Array, layer: Layer) -> tuple[jax.Array, None]:
        """Maps [B, t h w, W] to the same."""
        frames, positions = self.grid[0], math.prod(self.grid[1:])
        width = x_BxNxW.shape[-1]
        x = x_BxNxW.reshape(-1, positions, width)
        x = x + self._attention("space", x)

        mask = jnp.tri(frames, dtype=bool) if self.causal else None
        x = x.reshape(x_BxNxW.shape)
        x = x + over_time(lambda x: self._attention("time", x, mask), x, frames)

        h = LayerNorm(dtype=self.dtype, name="norm_mlp")(x)
        return x + MLP(width, self.mlp_ratio, self.dtype, name="mlp")(h), None

    def _attention(
        self, name: str, x_BxLxW: jax.Array, mask: jax.Array | None = None
    ) -> jax.Array:
        h = LayerNorm(dtype=self.dtype, name=f"norm_{name}")(x_BxLxW)
        return SelfAttention(self.num_heads, self.dtype, name=name)(h, mask)[0]


def over_time(
    attend: Callable[[jax.Array], jax.Array], x_BxNxW: jax.Array, frames: int
) -> jax.Array:
    """Returns what `attend` makes of the frames at each position, all [B, N, W].

    Args:
      attend: maps sequences [any, frames, W] to the same.
      x_BxNxW: vectors of one frame after another.
      frames: their number.
    """
    *_, number, width = x_BxNxW.shape
    x = x_BxNxW.reshape(-1, frames, number // frames, width).swapaxes(1, 2)
    y = attend(x.reshape(-1, frames, width))
    y = y.reshape(-1, number // frames, frames, width).swapaxes(1, 2)
    return y.reshape(x_BxNxW.shape)


class SpaceTimeTransformer(GridTransformer):
    """Vectors [B, t h w, any] to [B, t h w, size.width]; see `GridTransformer`.

    Attributes:
      causal: whether a vector depends on no later frame.
    """

    causal: bool = True

    def block(self) -> Callable[..., nn.Module]:
        return functools.partial(
            ViTSpaceTimeBlock,
            self.grid,
            self.size.num_heads,
            self.size.mlp_ratio,
            self.causal,
            dtype=self.dtype,
        )


def inflate_vit_encoder(params: Params, num_latents: int, patch_time: int) -> Params:
    """Returns parameters of an encoder that reads the last frame of each patch.

    Of a still clip, its latents are those of the image.

    Args:
      params: of the encoder of `vit` with the same sizes.
      num_latents: of a clip in time.
      patch_time: frames of a patch.
    """
    linear = params["transformer"]["in"]
    earlier = jnp.tile(jnp.zeros_like(linear["kernel"]), (patch_time - 1, 1))
    linear = {**linear, "kernel": jnp.concatenate([earlier, linear["kernel"]])}
    transformer = _inflate_transformer(params["transformer"], num_latents)
    return {**params, "transformer": {**transformer, "in": linear}}


def inflate_vit_decoder(params: Params, num_latents: int, patch_time: int) -> Params:
    """Returns parameters of a decoder that repeats the image of each latent.

    Arguments are those of `inflate_vit_encoder`.
    """
    head = jax.tree.map(
        lambda leaf: jnp.tile(leaf, (*[1] * (leaf.ndim - 1), patch_time)),
        params["head"],
    )
    transformer = _inflate_transformer(params["transformer"], num_latents)
    return {**params, "head": head, "transformer": transformer}


def _inflate_transformer(params: Params, num_latents: int) -> Params:
    """Returns equal positions for all frames, and attention over time that adds 0.

    Its queries, keys and values are those of attention within a frame, so that gradients
    reach its output layer, and it trains.
    """
    layers = dict(params["layers"])
    space, norm = layers.pop("self_attention"), layers.pop("norm_self")
    time = {**space, "out": jax.tree.map(jnp.zeros_like, space["out"])}
    layers |= {"space": space, "norm_space": norm, "time": time, "norm_time": norm}
    positions = jnp.tile(params["positions"], (num_latents, 1))
    return {**params, "layers": layers, "positions": positions}
