"""Output heads of decoders of tokens: from states to logits."""

from typing import Any, ClassVar, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.linear import Head, float32_product
from regen_jax.spaces import Value


class OutputHead(Protocol):
    """A Linen module that maps states to logits.

    Attributes:
      ties_embeddings: whether one table embeds source and target and scores the target.
    """

    ties_embeddings: bool

    def read_source(
        self, vectors_BxSxW: jax.Array, source: Value, drop: jax.Array
    ) -> Any:
        """Returns what `__call__` needs of a source, a tree of arrays [B, …], or None.

        Args:
          vectors_BxSxW: the encoded source.
          source: the source itself.
          drop: bool[B], true where the source is withheld.
        """

    def __call__(self, x_BxQxW: jax.Array, table: jax.Array, source: Any) -> jax.Array:
        """Returns logits f32[B, Q, features] of states.

        Args:
          x_BxQxW: the states.
          table: f32[V, W], which embeds the target.
          source: what `read_source` returned.
        """


class Dense(Head):
    """A dense layer of its own."""

    ties_embeddings: ClassVar[bool] = False

    def read_source(
        self, vectors_BxSxW: jax.Array, source: Value, drop: jax.Array
    ) -> None:
        return None

    @nn.compact
    def __call__(self, x_BxQxW: jax.Array, table: jax.Array, source: Any) -> jax.Array:
        return super().__call__(x_BxQxW)


class Tied(nn.Module):
    """Scores tokens by the table that embeds them (Press and Wolf, arXiv 1608.05859)."""

    dtype: jnp.dtype = jnp.float32

    ties_embeddings: ClassVar[bool] = True

    def read_source(
        self, vectors_BxSxW: jax.Array, source: Value, drop: jax.Array
    ) -> None:
        return None

    def __call__(self, x_BxQxW: jax.Array, table: jax.Array, source: Any) -> jax.Array:
        return float32_product(x_BxQxW, table.T, self.dtype)
