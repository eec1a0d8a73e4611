"""Copying from a source: the pointer-generator of See et al. (arXiv 1704.04368)."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.linear import Head, Linear

_LEAST = 1e-12


class Copyable(NamedTuple):
    """What can be copied of a source.

    Attributes:
      keys: [B, S, W], by which its tokens are found.
      tokens: int32 [B, S], 0 where there is nothing to copy.
    """

    keys: jax.Array
    tokens: jax.Array


class Pointer(nn.Module):
    """Mixes two distributions: over the vocabulary, and over the tokens of a source.

    p(w) = g · softmax(logits)(w) + (1 - g) · Σ_{s: a_s = w} attention(s), equation 9,
    with a gate g and an attention of their own. Words that training has hardly shown can
    be written so. A token is found by what it is and by the one before it too, so that
    a state that has just read a copy of that one can go on.
    """

    width: int
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        self.query = Linear(self.width, dtype=self.dtype)
        self.key = Linear(self.width, dtype=self.dtype)
        # At the start most is written, not copied.
        self.gate = Head(1, self.dtype, bias_init=nn.initializers.ones)

    def read(
        self, memory_BxSxW: jax.Array, source_tokens: jax.Array, keep: jax.Array
    ) -> Copyable:
        """Of tokens int32 [B, S] those that bool [B, S] keeps, and what encodes them."""
        before = jnp.pad(memory_BxSxW, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        keys = self.key(jnp.concatenate([memory_BxSxW, before], axis=-1))
        return Copyable(keys, jnp.where(keep, source_tokens, 0))

    def __call__(
        self, x_BxQxW: jax.Array, logits_BxQxV: jax.Array, source: Copyable
    ) -> jax.Array:
        """f32[B, Q, V]: log-probabilities, of states x and the logits of writing."""
        scores = jnp.einsum(
            "bqw,bsw->bqs",
            self.query(x_BxQxW) / math.sqrt(self.width),
            source.keys,
            preferred_element_type=jnp.float32,
        )
        there = (source.tokens > 0)[:, None]
        attention = jax.nn.softmax(jnp.where(there, scores, -1e30))
        gate = jax.nn.sigmoid(self.gate(x_BxQxW))
        gate = jnp.where(there.any(axis=-1, keepdims=True), gate, 1.0)
        written = gate * jax.nn.softmax(logits_BxQxV) + _LEAST
        copied = (1 - gate) * attention
        add = jax.vmap(lambda p_QxV, p_QxS, ids: p_QxV.at[:, ids].add(p_QxS))
        return jnp.log(add(written, copied, source.tokens))
