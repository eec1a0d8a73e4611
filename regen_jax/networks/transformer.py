"""A causal transformer over tokens that are conditioned on a source.

Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), with the layer norms in
front (Xiong et al., arXiv 2002.04745).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, attend
from regen_jax.networks.embeddings import (
    INIT,
    SourceEmbedding,
    dropout,
    source_length,
)
from regen_jax.networks.linear import Linear
from regen_jax.spaces import Space

KeysValues = tuple[jax.Array, jax.Array]


class Block(nn.Module):
    """Self-attention, cross-attention where there is a memory, and an MLP."""

    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    cross: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x_BxQxW: jax.Array,
        mask: jax.Array,
        memory_BxSxW: jax.Array,
        keys: jax.Array | None,
        layer: int,
        cache: KeysValues | None = None,
        position: jax.Array | int = 0,
    ) -> tuple[jax.Array, KeysValues]:
        """Returns x and the keys and values that its self-attention read.

        Without a cache these are those of x. With one, they are the cache [B, T, H, D]
        with those of x written from `position` on.
        """
        width = x_BxQxW.shape[-1]
        head = (self.num_heads, width // self.num_heads)

        def project(name: str, x: jax.Array, number: int) -> Sequence[jax.Array]:
            x = Linear(number * width, dtype=self.dtype, name=name)(x)
            return jnp.split(
                x.reshape(*x.shape[:2], number * head[0], head[1]), number, 2
            )

        def merge(name: str, x: jax.Array) -> jax.Array:
            x = x.reshape(*x.shape[:2], width)
            return Linear(width, dtype=self.dtype, name=name)(x)

        x = x_BxQxW
        h = nn.LayerNorm(dtype=self.dtype, name="norm_self")(x)
        q, k, v = project("qkv", h, 3)
        if cache is not None:
            k, v = (
                jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=1)
                for old, new in zip(cache, (k, v), strict=True)
            )
        h = merge("out", attend(q, k, v, mask))
        x = x + dropout(h, keys, self.dropout, 3 * layer + 1)

        if self.cross:
            h = nn.LayerNorm(dtype=self.dtype, name="norm_cross")(x)
            (q,) = project("cross_q", h, 1)
            h = merge("cross_out", attend(q, *project("cross_kv", memory_BxSxW, 2)))
            x = x + dropout(h, keys, self.dropout, 3 * layer + 2)

        h = nn.LayerNorm(dtype=self.dtype, name="norm_mlp")(x)
        h = MLP(width, self.mlp_ratio, self.dtype, name="mlp")(h)
        return x + dropout(h, keys, self.dropout, 3 * layer + 3), (k, v)


class Transformer(nn.Module):
    """Logits of each token from the source and the tokens before it.

    The sequence is a prefix and then the tokens. The prefix is the source itself, which
    sees all of itself, or with `cross` one start vector, and every block then attends to
    the source.
    """

    source: Space
    length: int
    vocab: int
    width: int
    num_layers: int
    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    cross: bool = False
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        self.embed_source = SourceEmbedding(self.source, self.width, self.dtype)
        self.embed = nn.Embed(self.vocab, self.width, embedding_init=INIT)
        self.positions = self.param("positions", INIT, (self.total, self.width))
        if self.cross:
            self.start = self.param("start", INIT, (1, self.width))
        # The layer number is the 5th argument after self, and static.
        block = nn.remat(Block, static_argnums=(5,)) if self.remat else Block
        self.blocks = [
            block(self.num_heads, self.mlp_ratio, self.dropout, self.cross, self.dtype)
            for _ in range(self.num_layers)
        ]
        self.norm = nn.LayerNorm(dtype=self.dtype)
        self.head = Linear(self.vocab, dtype=self.dtype)

    @property
    def prefix(self) -> int:
        """Positions before the first token."""
        return 1 if self.cross else source_length(self.source)

    @property
    def total(self) -> int:
        """Positions in all; the last token is predicted and never read."""
        return self.prefix + self.length - 1

    def __call__(
        self,
        a: jax.Array,
        b_BxL: jax.Array,
        drop: jax.Array,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """f32[B, L, V]: logits of every token of b, all at once.

        Drops activations where `keys`, one an example, are given.
        """
        memory = self.embed_source(a, drop)
        x = jnp.concatenate([self._prefix(memory), self._tokens(b_BxL[:, :-1])], axis=1)
        x = x + self.positions.astype(self.dtype)
        rows, columns = jnp.arange(self.total)[:, None], jnp.arange(self.total)
        mask = (columns <= rows) | (columns < self.prefix)
        for layer, block in enumerate(self.blocks):
            x, _ = block(x, mask, memory, keys, layer)
        return self._logits(x[:, self.prefix - 1 :])

    def prefill(
        self, a: jax.Array, drop: jax.Array
    ) -> tuple[jax.Array, jax.Array, list[KeysValues]]:
        """Reads the source: first logits f32[B, V], memory, and a cache a layer."""
        memory = self.embed_source(a, drop)
        x = self._prefix(memory) + self.positions[: self.prefix].astype(self.dtype)
        mask = jnp.arange(self.total) < self.prefix
        shape = (x.shape[0], self.total, self.num_heads, self.width // self.num_heads)
        caches = []
        for layer, block in enumerate(self.blocks):
            empty = (jnp.zeros(shape, self.dtype), jnp.zeros(shape, self.dtype))
            x, cache = block(x, mask, memory, None, layer, empty, 0)
            caches.append(cache)
        return self._logits(x[:, -1:])[:, 0], memory, caches

    def step(
        self,
        token_B: jax.Array,
        index: jax.Array,
        memory: jax.Array,
        caches: list[KeysValues],
    ) -> tuple[jax.Array, list[KeysValues]]:
        """Reads token number `index`: logits f32[B, V] of the next one, and caches."""
        position = self.prefix + index
        x = self._tokens(token_B[:, None]) + self.positions[position].astype(self.dtype)
        mask = jnp.arange(self.total) <= position
        updated = []
        for layer, (block, cache) in enumerate(zip(self.blocks, caches, strict=True)):
            x, cache = block(x, mask, memory, None, layer, cache, position)
            updated.append(cache)
        return self._logits(x)[:, 0], updated

    def _prefix(self, memory: jax.Array) -> jax.Array:
        if not self.cross:
            return memory
        shape = (memory.shape[0], 1, self.width)
        return jnp.broadcast_to(self.start.astype(self.dtype), shape)

    def _tokens(self, tokens: jax.Array) -> jax.Array:
        return self.embed(tokens).astype(self.dtype)

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.head(self.norm(x)).astype(jnp.float32)
