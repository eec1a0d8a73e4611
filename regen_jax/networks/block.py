"""A transformer block with a key-value cache and cross-attention."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import (
    MLP,
    CrossAttention,
    KeysValues,
    SelfAttention,
)
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layer_stack import Layer
from regen_jax.networks.layers import LayerNorm


class BlockInputs(NamedTuple):
    """What a block reuses of earlier calls, as `Layer.inputs`.

    Attributes:
      cache: keys and values of self-attention, T positions long.
      source: keys and values of cross-attention.
    """

    cache: KeysValues | None = None
    source: KeysValues | None = None


class BlockOutputs(NamedTuple):
    """What a block returns beside its x.

    Attributes:
      cache: keys and values that self-attention attended to: of x, [B, H, D, Q] and
        [B, H, Q, D], or the cache with those of x written into it.
      source: keys and values of cross-attention, [B, H, D, S] and [B, H, S, D].
      source_queries: [B, H, Q, D], of cross-attention.
    """

    cache: KeysValues
    source: KeysValues | None = None
    source_queries: jax.Array | None = None


class Block(nn.Module):
    """Self-attention, cross-attention where `cross` is set, and an MLP, all pre-norm.

    Attributes:
      rotary: whether self-attention depends on distances between positions.
    """

    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    cross: bool = False
    dtype: jnp.dtype = jnp.float32
    rotary: bool = False

    @nn.compact
    def __call__(
        self,
        x_BxQxW: jax.Array,
        layer: Layer,
        mask: jax.Array | None = None,
        source_BxSxW: jax.Array | None = None,
        source_mask_BxS: jax.Array | None = None,
        keys: jax.Array | None = None,
        position: jax.Array | int = 0,
    ) -> tuple[jax.Array, BlockOutputs]:
        """Returns [B, Q, W], and keys and values.

        Args:
          x_BxQxW: the input.
          layer: its index, and optional `BlockInputs`.
          mask: bool, broadcast to [B, H, Q, T]; true where a query attends to a position.
          source_BxSxW: what cross-attention attends to; not read where `layer.inputs` has
            its keys and values.
          source_mask_BxS: bool, vectors of the source that are attended to; None for all.
          keys: one dropout key per example; None outside training.
          position: where the first row of x is in the cache.
        """
        inputs = layer.inputs or BlockInputs()
        first_key = 3 * layer.index + 1

        x = x_BxQxW
        h = LayerNorm(dtype=self.dtype, name="norm_self")(x)
        attention = SelfAttention(
            self.num_heads, self.dtype, self.rotary, name="self_attention"
        )
        h, cache = attention(h, mask, inputs.cache, position)
        x = x + dropout(h, keys, self.dropout, first_key)

        queries, source = None, inputs.source
        if self.cross:
            h = LayerNorm(dtype=self.dtype, name="norm_cross")(x)
            attention = CrossAttention(
                self.num_heads, self.dtype, name="cross_attention"
            )
            source = source_BxSxW if source is None else source
            mask = None if source_mask_BxS is None else source_mask_BxS[:, None, None]
            h, queries, source = attention(h, source, mask)
            x = x + dropout(h, keys, self.dropout, first_key + 1)

        h = LayerNorm(dtype=self.dtype, name="norm_mlp")(x)
        h = MLP(x.shape[-1], self.mlp_ratio, self.dtype, name="mlp")(h)
        x = x + dropout(h, keys, self.dropout, first_key + 2)
        return x, BlockOutputs(cache, source, queries)
