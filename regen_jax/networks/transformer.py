"""A causal transformer over tokens that are conditioned on a source.

Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), with the layer norms in
front (Xiong et al., arXiv 2002.04745).
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.block import Block, KeysValues
from regen_jax.networks.embeddings import (
    INIT,
    SourceEmbedding,
    source_length,
    source_mask,
)
from regen_jax.networks.linear import Head, Linear, product
from regen_jax.networks.pointer import Copyable, Pointer
from regen_jax.spaces import Space, Value, length_mask, lengths


class Memory(NamedTuple):
    """What the decoder's steps read of a source.

    Attributes:
      keys_values: of each layer's cross-attention, [B, H, D, S] and [B, H, S, D]; none
        where the source is a prefix.
      mask: bool [B, S], the vectors that count; None where all do.
      aligned: [B, L, W], the vector of the source that belongs to each position.
      copyable: of a source whose tokens can be copied.
    """

    keys_values: list[KeysValues]
    mask: jax.Array | None
    aligned: jax.Array | None = None
    copyable: Copyable | None = None


class Transformer(nn.Module):
    """Logits of each token from the source and the tokens before it.

    The sequence is a prefix and then the tokens. The prefix is the source itself, which
    sees all of itself, or one start vector: with `cross` every block attends to the
    source, and with `aligned`, the length of a target that keeps time with the source,
    the vectors of the source are added to the positions that they belong to. With
    `encoder_layers`, the source first goes through that many blocks in which all of it
    sees all of it. With `copy`, tokens of the source can be copied. With `tied`, one
    table embeds the tokens of both, if the source's are of the same vocabulary and one
    deep, and scores the tokens to come (Press and Wolf, arXiv 1608.05859).

    With a `depth` above 1 a position holds a stack of tokens, whose embeddings are summed
    and which are predicted side by side. Their ids may be `vocab` too, which is read as
    no token and never predicted.

    With `ctc`, there is a head for the logits of tokens at each vector of the source.
    """

    source_space: Space
    length: int
    vocab: int
    width: int
    num_layers: int
    num_heads: int
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    cross: bool = False
    aligned: int = 0
    copy: bool = False
    tied: bool = False
    remat: bool = False
    dtype: jnp.dtype = jnp.float32
    depth: int = 1
    encoder_layers: int = 0
    source_stride: int = 1
    ctc: bool = False
    rotary: bool = False

    def setup(self):
        ids = self.vocab if self.depth == 1 else (self.vocab + 1) * self.depth
        self.embed = nn.Embed(ids, self.width, embedding_init=INIT)
        self.embed_source = SourceEmbedding(
            self.source_space,
            self.width,
            self.dtype,
            self.source_stride,
            self.embed if self.tied else None,
        )
        self.positions = self.param("positions", INIT, (self.total, self.width))
        if self.starts:
            self.start = self.param("start", INIT, (1, self.width))
        # The layer number is the 6th argument after self, and static.
        block = nn.remat(Block, static_argnums=(6,)) if self.remat else Block

        def stack(number: int, cross: bool) -> list[Block]:
            return [
                block(
                    self.num_heads,
                    self.mlp_ratio,
                    self.dropout,
                    cross,
                    self.dtype,
                    self.rotary,
                )
                for _ in range(number)
            ]

        self.blocks = stack(self.num_layers, self.cross)
        if self.encoder_layers:
            self.encoder = stack(self.encoder_layers, False)
            self.encoder_norm = nn.LayerNorm(dtype=self.dtype)
        self.norm = nn.LayerNorm(dtype=self.dtype)
        if not self.tied:
            self.head = Head(self.depth * self.vocab, self.dtype)
        if self.ctc:
            self.ctc_head = Head(self.vocab, self.dtype)
        if self.aligned:
            self.lay_out = Linear(self.width, dtype=self.dtype)
        if self.copy:
            self.pointer = Pointer(self.width, self.dtype)

    @property
    def starts(self) -> bool:
        """Whether the prefix is a start vector."""
        return self.cross or self.aligned > 0

    @property
    def prefix(self) -> int:
        """Positions before the first token."""
        return (
            1 if self.starts else source_length(self.source_space, self.source_stride)
        )

    @property
    def total(self) -> int:
        """Positions in all; the last token is predicted and never read."""
        return self.prefix + self.length - 1

    def __call__(
        self,
        source: Value,
        target: jax.Array,
        drop: jax.Array,
        keys: jax.Array | None = None,
    ) -> jax.Array | tuple[jax.Array, jax.Array, jax.Array]:
        """f32[B, L, V]: logits of every token of b [B, L], all at once.

        They are [B, L, K, V] for b [B, L, K] of a depth K above 1. With `ctc`, what
        follows them are f32[B, S, V], logits of tokens at each vector of the source,
        and bool[B, S], the vectors that count.

        Drops activations where `keys`, one an example, are given.
        """
        memory, seen = self.encode(source, drop, keys)
        x = jnp.concatenate(
            [self._prefix(memory), self._tokens(target[:, :-1])], axis=1
        )
        x = x + self.positions.astype(self.dtype)
        if self.aligned:
            x = x + self._laid_out(memory)
        rows, columns = jnp.arange(self.total)[:, None], jnp.arange(self.total)
        mask = (columns <= rows) | (columns < self.prefix)
        mask = self._hide_prefix(mask, seen)
        for layer, block in enumerate(self.blocks):
            x, _, _ = block(x, mask, memory, seen, keys, layer)
        copyable = self._copyable(memory, source, drop)
        logits = self._logits(x[:, self.prefix - 1 :], copyable)
        if not self.ctc:
            return logits
        if seen is None:
            seen = jnp.ones(memory.shape[:2], bool)
        return logits, self.ctc_head(memory), seen

    def encode(
        self, source: Value, drop: jax.Array, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array | None]:
        """The source as vectors [B, S, W], and bool[B, S], those that count, or None."""
        x = self.embed_source(source, drop)
        seen = source_mask(self.source_space, source, self.source_stride)
        if seen is not None:
            # A dropped source is null vectors alone, and hides its length too; an empty
            # one counts as a single null vector, so that attention has what to see.
            seen = seen.at[:, 0].set(True) | drop[:, None]
        if self.encoder_layers:
            mask = None if seen is None else seen[:, None, None]
            for layer, block in enumerate(self.encoder, start=self.num_layers):
                x, _, _ = block(x, mask, None, None, keys, layer)
            x = self.encoder_norm(x)
        return x, seen

    def prefill(
        self, source: Value, drop: jax.Array
    ) -> tuple[jax.Array, Memory, list[KeysValues]]:
        """Reads the source: first logits [B, V], its memory, and a cache a layer."""
        memory, seen = self.encode(source, drop)
        x = self._prefix(memory) + self.positions[: self.prefix].astype(self.dtype)
        aligned = self._laid_out(memory) if self.aligned else None
        if self.aligned:
            x = x + aligned[:, :1]
        mask = self._hide_prefix(jnp.arange(self.total)[None] < self.prefix, seen)
        heads, head_dim = self.num_heads, self.width // self.num_heads
        keys = jnp.zeros((x.shape[0], heads, head_dim, self.total), self.dtype)
        caches, crossed = [], []
        for layer, block in enumerate(self.blocks):
            empty = (keys, keys.swapaxes(2, 3))
            x, cache, read = block(x, mask, memory, seen, None, layer, empty, 0)
            caches.append(cache)
            crossed += [read] if self.cross else []
        copyable = self._copyable(memory, source, drop)
        logits = self._logits(x[:, -1:], copyable)[:, 0]
        return logits, Memory(crossed, seen, aligned, copyable), caches

    def step(
        self,
        token: jax.Array,
        index: jax.Array,
        memory: Memory,
        caches: list[KeysValues],
    ) -> tuple[jax.Array, list[KeysValues]]:
        """Reads token number `index` [B]: logits f32[B, V] of the next one, and caches.

        Both are [B, K] and [B, K, V] of a depth K above 1.
        """
        position = self.prefix + index
        x = self._tokens(token[:, None]) + self.positions[position].astype(self.dtype)
        if self.aligned:
            x += jax.lax.dynamic_slice_in_dim(memory.aligned, position, 1, axis=1)
        mask = self._hide_prefix(jnp.arange(self.total)[None] <= position, memory.mask)
        crossed = memory.keys_values or [None] * self.num_layers
        updated = []
        for layer, block in enumerate(self.blocks):
            x, cache, _ = block(
                x,
                mask,
                crossed[layer],
                memory.mask,
                None,
                layer,
                caches[layer],
                position,
            )
            updated.append(cache)
        return self._logits(x, memory.copyable)[:, 0], updated

    def _hide_prefix(self, mask: jax.Array, seen: jax.Array | None) -> jax.Array:
        """Of a mask [Q, total], hides what does not count of a prefix."""
        if self.starts or seen is None:
            return mask
        tokens = jnp.ones((seen.shape[0], self.total - self.prefix), bool)
        return mask & jnp.concatenate([seen, tokens], axis=1)[:, None, None]

    def _prefix(self, memory: jax.Array) -> jax.Array:
        if not self.starts:
            return memory
        shape = (memory.shape[0], 1, self.width)
        return jnp.broadcast_to(self.start.astype(self.dtype), shape)

    def _tokens(self, tokens: jax.Array) -> jax.Array:
        if self.depth == 1:
            return self.embed(tokens).astype(self.dtype)
        level = (self.vocab + 1) * jnp.arange(self.depth)
        return self.embed(tokens + level).sum(axis=-2).astype(self.dtype)

    def _laid_out(self, memory: jax.Array) -> jax.Array:
        """[B, total, W]: several vectors of the source for a position, or one for several.

        Steps behind the target, of a delay, get nothing.
        """
        batch, number, width = memory.shape
        x = memory
        if number > self.aligned:
            x = memory.reshape(batch, self.aligned, number // self.aligned * width)
        x = jnp.repeat(self.lay_out(x), self.aligned // x.shape[1], axis=1)
        return jnp.pad(x, ((0, 0), (0, self.total - self.aligned), (0, 0)))

    def _copyable(
        self, memory: jax.Array, source: Value, drop: jax.Array
    ) -> Copyable | None:
        if not self.copy:
            return None
        keep = length_mask(lengths(self.source_space, source), self.source_space.length)
        return self.pointer.read(memory, source, keep & ~drop[:, None])

    def _logits(self, x: jax.Array, copyable: Copyable | None) -> jax.Array:
        x = self.norm(x)
        logits = self._score(x)
        if copyable is not None:
            return self.pointer(x, logits, copyable)
        if self.depth == 1:
            return logits
        return logits.reshape(*x.shape[:-1], self.depth, self.vocab)

    def _score(self, x: jax.Array) -> jax.Array:
        if not self.tied:
            return self.head(x)
        return product(x, self.embed.embedding.T, self.dtype)
