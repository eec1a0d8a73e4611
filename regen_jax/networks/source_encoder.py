"""Encodes a source of any space as vectors."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.embeddings import SourceEmbedding, source_mask
from regen_jax.networks.layer_stack import LayerStack
from regen_jax.networks.layers import LayerNorm
from regen_jax.ranges import Remat
from regen_jax.spaces import Space, Value


class EncoderOutput(NamedTuple):
    """A source as vectors.

    Attributes:
      vectors: [B, S, W].
      mask: bool[B, S], true for vectors to attend to; None where that is all of them.
    """

    vectors: jax.Array
    mask: jax.Array | None


class SourceEncoder(nn.Module):
    """Embeds a source; with `num_layers`, blocks of full self-attention follow.

    Attributes:
      block: makes a `Block` without cross-attention.
      first_index: `Layer.index` of the first block.
      stride, table: as for `SourceEmbedding`.
    """

    space: Space
    width: int
    block: Callable[..., nn.Module]
    num_layers: int = 0
    first_index: int = 0
    stride: int = 1
    table: nn.Embed | None = None
    remat: Remat = "none"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, source: Value, drop: jax.Array, keys: jax.Array | None = None
    ) -> EncoderOutput:
        """Encodes a source [B, *space.shape].

        Args:
          source: the source.
          drop: bool[B], true where the source is withheld.
          keys: one dropout key per example; None outside training.
        """
        embed = SourceEmbedding(
            self.space, self.width, self.dtype, self.stride, self.table, name="embed"
        )
        x = embed(source, drop)
        mask = source_mask(self.space, source, self.stride)
        if mask is not None:
            # A dropped source is null vectors alone, and hides its length too; an empty
            # one has a single null vector, so that there is something to attend to.
            mask = mask.at[:, 0].set(True) | drop[:, None]
        if self.num_layers:
            layers = LayerStack(
                self.block, self.num_layers, self.first_index, self.remat, name="layers"
            )
            x, _ = layers(
                x, None if mask is None else mask[:, None, None], None, None, keys
            )
            x = LayerNorm(dtype=self.dtype, name="norm")(x)
        return EncoderOutput(x, mask)
