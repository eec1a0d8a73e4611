"""Copying from a source: the pointer-generator of See et al. (arXiv 1704.04368)."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.heads import OutputHead
from regen_jax.networks.layers import ones
from regen_jax.networks.linear import Head, Linear
from regen_jax.spaces import Tokens, length_mask, lengths

_MIN_PROBABILITY = 1e-12


class CopySource(NamedTuple):
    """Tokens that can be copied.

    Attributes:
      keys: [B, S, W], what attention over them is computed from.
      tokens: i32[B, S], 0 where there is nothing to copy.
    """

    keys: jax.Array
    tokens: jax.Array


class Pointer(nn.Module):
    """Mixes two distributions: over the vocabulary, and over the tokens of a source.

    p(w) = g · softmax(logits)(w) + (1 - g) · Σ_{s: source_s = w} attention(s), equation 9,
    with a gate g and an attention of their own. Words that are rare in training can thus
    be generated. The key of a token depends on the token before it too, so that a state
    that has just copied one token finds the next.

    Attributes:
      source_space: padded Tokens, one deep, of the target's vocabulary.
      writer: the head that gives the logits.
    """

    source_space: Tokens
    width: int
    writer: OutputHead
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        self.query = Linear(self.width, dtype=self.dtype)
        self.key = Linear(self.width, dtype=self.dtype)
        # At the start most tokens are written, not copied.
        self.gate = Head(1, self.dtype, bias_init=ones)

    @property
    def ties_embeddings(self) -> bool:
        return self.writer.ties_embeddings

    def read_source(
        self, vectors_BxSxW: jax.Array, source: jax.Array, drop: jax.Array
    ) -> CopySource:
        """Returns what to copy from a source i32[B, S]: its tokens before the end."""
        before = jnp.pad(vectors_BxSxW, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        keys = self.key(jnp.concatenate([vectors_BxSxW, before], axis=-1))
        keep = length_mask(lengths(self.source_space, source), self.source_space.length)
        return CopySource(keys, jnp.where(keep & ~drop[:, None], source, 0))

    def __call__(
        self, x_BxQxW: jax.Array, table: jax.Array, source: CopySource
    ) -> jax.Array:
        """Returns log-probabilities f32[B, Q, V]."""
        scores = jnp.einsum(
            "bqw,bsw->bqs",
            self.query(x_BxQxW) / math.sqrt(self.width),
            source.keys,
            preferred_element_type=jnp.float32,
        )
        mask = (source.tokens > 0)[:, None]
        attention = jax.nn.softmax(jnp.where(mask, scores, -1e30))
        gate = jax.nn.sigmoid(self.gate(x_BxQxW))
        gate = jnp.where(mask.any(axis=-1, keepdims=True), gate, 1.0)
        logits_BxQxV = self.writer(x_BxQxW, table, None)
        written = gate * jax.nn.softmax(logits_BxQxV) + _MIN_PROBABILITY
        copied = (1 - gate) * attention
        add = jax.vmap(lambda p_QxV, p_QxS, ids: p_QxV.at[:, ids].add(p_QxS))
        return jnp.log(add(written, copied, source.tokens))
