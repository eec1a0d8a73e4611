"""Transformers from a sequence of tokens to a fixed number of latents, and back.

Yu, Weber, Deng, Shen, Cremers and Chen, "An Image is Worth 32 Tokens for Reconstruction
and Generation" (TiTok, arXiv 2406.07550), for sequences in the place of images. Queries
attend to the sequence by cross-attention (Jaegle et al., "Perceiver IO", arXiv
2107.14795), where TiTok appends them to it.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.networks.block import Block
from regen_jax.networks.layer_stack import LayerStack
from regen_jax.networks.layers import Embed, LayerNorm, Module, normal
from regen_jax.networks.linear import Head, Linear
from regen_jax.networks.token_logits import mask_after_end
from regen_jax.networks.transformer_options import TransformerShape
from regen_jax.spaces import Tokens, length_mask, lengths


class PerceiverResampler(Module):
    """Learned queries that attend to a memory and to each other.

    Each query starts with a learned mixture of the memory, initialized to a segment of
    its own. Without one, attention starts as nearly the same mean for all queries, which
    hardly differs between examples: a quantizer would find one code for all of them.
    """

    num_queries: int
    size: TransformerShape

    @nn.compact
    def __call__(
        self, memory_BxSxW: jax.Array, mask_BxS: jax.Array | None = None
    ) -> jax.Array:
        """Returns [B, num_queries, W] of a memory [B, S, W] within its mask."""
        dtype = jnp.dtype(self.size.dtype)
        _, length, width = memory_BxSxW.shape
        queries = self.param("queries", normal, (self.num_queries, width))
        shape = self.num_queries, length
        mixture_QxS = self.param("mixture", segment_mixture, shape)
        valid = memory_BxSxW
        if mask_BxS is not None:
            valid = jnp.where(mask_BxS[..., None], valid, 0)
        x = mixture_QxS.astype(dtype) @ valid + queries.astype(dtype)
        x, _ = _layers(self.size, cross=True)(x, None, memory_BxSxW, mask_BxS)
        return LayerNorm(dtype=dtype, name="norm")(x)


def _layers(size: TransformerShape, cross: bool = False) -> LayerStack:
    """Returns the blocks of the module that calls it."""
    block = functools.partial(
        Block, size.num_heads, size.mlp_ratio, cross=cross, dtype=jnp.dtype(size.dtype)
    )
    return LayerStack(block, size.num_layers, name="layers")


def segment_mixture(
    rng: jax.Array, shape: tuple[int, int], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Returns [Q, S]: the overlap of each of Q equal segments with each of S positions.

    Rows are scaled to a norm of 1, which keeps the variance of uncorrelated vectors.
    """
    num_queries, size = shape
    row, column = np.indices(shape, sparse=True)
    # In units in which a segment is `size` long, and a position `num_queries`.
    start = np.maximum(row * size, column * num_queries)
    end = np.minimum((row + 1) * size, (column + 1) * num_queries)
    overlap = np.maximum(end - start, 0)
    return jnp.asarray(overlap / np.linalg.norm(overlap, axis=1, keepdims=True), dtype)


class Encoder(Module):
    """Tokens to latents: blocks over the tokens, then queries that attend to them.

    The first 0 of a padded sequence is not masked, so that latents know where the
    sequence ends; what comes after it is.
    """

    space: Tokens
    num_latents: int
    latent_dim: int
    size: TransformerShape

    @nn.compact
    def __call__(self, y: jax.Array) -> jax.Array:
        """Maps y i32[B, *space.shape] to latents [B, num_latents, latent_dim]."""
        space, width, dtype = self.space, self.size.width, jnp.dtype(self.size.dtype)
        mask = (
            length_mask(lengths(space, y) + 1, space.length) if space.padded else None
        )
        ids = mask_after_end(space, y).reshape(-1, space.length, space.depth)
        ids = ids + space.vocab * jnp.arange(space.depth)
        embed = Embed(space.vocab * space.depth, width, name="embed")
        positions = self.param("positions", normal, (space.length, width))
        x = (embed(ids).sum(axis=-2) + positions).astype(dtype)
        attention_mask = None if mask is None else mask[:, None, None]
        x, _ = _layers(self.size)(x, attention_mask)
        x = LayerNorm(dtype=dtype, name="norm")(x)
        x = PerceiverResampler(self.num_latents, self.size, name="latents")(x, mask)
        return Linear(self.latent_dim, dtype=dtype, name="out")(x)


class Decoder(Module):
    """Latents to logits of all tokens at once, by one query per position."""

    space: Tokens
    size: TransformerShape

    @nn.compact
    def __call__(self, latents_BxMxD: jax.Array) -> jax.Array:
        """Returns logits f32[B, *space.shape, vocab]."""
        space, dtype = self.space, jnp.dtype(self.size.dtype)
        x = Linear(self.size.width, dtype=dtype, name="in")(latents_BxMxD)
        positions = self.param("positions", normal, x.shape[1:])
        x = x + positions.astype(dtype)
        x = LayerNorm(dtype=dtype, name="norm")(x)
        x = PerceiverResampler(space.length, self.size, name="tokens")(x)
        logits = Head(space.depth * space.vocab, dtype, name="head")(x)
        return logits.reshape(-1, *space.shape, space.vocab)
