"""A causal transformer over tokens that are conditioned on a source.

Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), with the layer norms in
front (Xiong et al., arXiv 2002.04745).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.attention import MLP, attend_by_head
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

        Without a cache these are those of x, [B, H, D, Q] and [B, H, Q, D]. With one,
        they are the cache, T long, with those of x written from `position` on.
        """
        width = x_BxQxW.shape[-1]
        head_dim = width // self.num_heads

        def project(name: str, x: jax.Array, number: int) -> list[jax.Array]:
            """`number` arrays [B, H, Q, D] of x [B, Q, W]."""
            x = Linear(number * width, dtype=self.dtype, name=name)(x)
            x = x.reshape(*x.shape[:2], number, self.num_heads, head_dim)
            return list(x.transpose(2, 0, 3, 1, 4))

        def merge(name: str, x: jax.Array) -> jax.Array:
            x = x.transpose(0, 2, 1, 3).reshape(x.shape[0], -1, width)
            return Linear(width, dtype=self.dtype, name=name)(x)

        x = x_BxQxW
        h = nn.LayerNorm(dtype=self.dtype, name="norm_self")(x)
        q, k, v = project("qkv", h, 3)
        k = k.swapaxes(2, 3)
        if cache is not None:
            write = jax.lax.dynamic_update_slice_in_dim
            k = write(cache[0], k, position, axis=3)
            v = write(cache[1], v, position, axis=2)
        h = merge("out", attend_by_head(q, k, v, mask))
        x = x + dropout(h, keys, self.dropout, 3 * layer + 1)

        if self.cross:
            h = nn.LayerNorm(dtype=self.dtype, name="norm_cross")(x)
            (q,) = project("cross_q", h, 1)
            memory_k, memory_v = project("cross_kv", memory_BxSxW, 2)
            h = merge("cross_out", attend_by_head(q, memory_k.swapaxes(2, 3), memory_v))
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
        heads, head_dim = self.num_heads, self.width // self.num_heads
        keys = jnp.zeros((x.shape[0], heads, head_dim, self.total), self.dtype)
        caches = []
        for layer, block in enumerate(self.blocks):
            empty = (keys, keys.swapaxes(2, 3))
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
