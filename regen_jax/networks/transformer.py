"""A transformer over tokens that are conditioned on a source.

Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), with pre-norm blocks
(Xiong et al., arXiv 2002.04745).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from regen_jax.networks.attention import KeysValues, attention_weights
from regen_jax.networks.block import Block, BlockInputs, BlockOutputs
from regen_jax.networks.decoder_conditioning import Conditioning
from regen_jax.networks.embeddings import source_length
from regen_jax.networks.heads import OutputHead
from regen_jax.networks.layer_stack import LayerStack, Params
from regen_jax.networks.layers import Embed, LayerNorm, Module, normal
from regen_jax.networks.linear import Head
from regen_jax.networks.source_encoder import SourceEncoder
from regen_jax.networks.source_reading import SourceReading, SourceState
from regen_jax.ranges import Remat
from regen_jax.spaces import Space, Value


class Predictions(NamedTuple):
    """Logits of a whole target.

    Attributes:
      logits: f32[B, L, V] of its tokens, or f32[B, L, K, V] of stacks of K.
      source_logits: f32[B, S, V], of tokens at each vector of the source, with `ctc`.
      source_mask: bool[B, S], the vectors that are not padding, with `ctc`.
    """

    logits: jax.Array
    source_logits: jax.Array | None = None
    source_mask: jax.Array | None = None


class Transformer(Module):
    """Predicts tokens from a source and from other tokens.

    The sequence is a prefix, which `conditioning` makes of the source, and the tokens.
    Where `causal`, each token is predicted from those before it. Otherwise each is
    predicted at its own position, from all that are read; `vocab` is then a mask's id.

    Attributes:
      length: of the target.
      depth: tokens per position. With more than 1, their embeddings are summed and they
        are predicted side by side; ids may also be `vocab`, which is read as no token and
        never predicted.
      conditioning: how the source enters.
      head: maps states to `depth * vocab` logits.
      encoder_layers: blocks of full self-attention over the source.
      source_stride: as for `SourceEmbedding`.
      ctc: whether tokens are predicted at each vector of the source too.
      rotary: whether self-attention depends on distances between positions.
      causal: whether a position attends to the prefix and those up to itself alone.
    """

    source_space: Space
    length: int
    vocab: int
    width: int
    num_layers: int
    num_heads: int
    conditioning: Conditioning
    head: OutputHead
    mlp_ratio: float = 4.0
    dropout: float = 0.0
    remat: Remat = "none"
    dtype: jnp.dtype = jnp.float32
    depth: int = 1
    encoder_layers: int = 0
    source_stride: int = 1
    ctc: bool = False
    rotary: bool = False
    causal: bool = True

    def setup(self):
        reads_vocab = self.depth > 1 or not self.causal
        num_ids = (self.vocab + reads_vocab) * self.depth
        self.embed = Embed(num_ids, self.width)
        block = functools.partial(
            Block,
            num_heads=self.num_heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            dtype=self.dtype,
            rotary=self.rotary,
        )
        self.source_encoder = SourceEncoder(
            self.source_space,
            self.width,
            block,
            self.encoder_layers,
            first_index=self.num_layers,
            stride=self.source_stride,
            table=self.embed if self.head.ties_embeddings else None,
            remat=self.remat,
            dtype=self.dtype,
        )
        self.positions = self.param(
            "positions", normal, (self.num_positions, self.width)
        )
        self.layers = LayerStack(
            functools.partial(block, cross=self.conditioning.cross),
            self.num_layers,
            remat=self.remat,
        )
        self.norm = LayerNorm(dtype=self.dtype)
        if self.ctc:
            self.ctc_head = Head(self.vocab, self.dtype)

    @property
    def prefix_length(self) -> int:
        """Number of positions before the first token."""
        number = source_length(self.source_space, self.source_stride)
        return self.conditioning.prefix_length(number)

    @property
    def first_prediction(self) -> int:
        """The position that predicts the first token."""
        return self.prefix_length - self.causal

    @property
    def num_positions(self) -> int:
        """Number of positions; the last token of a causal one is never read."""
        return self.first_prediction + self.length

    def __call__(
        self,
        source: Value,
        target: jax.Array,
        drop: jax.Array,
        keys: jax.Array | None = None,
    ) -> Predictions:
        """Predicts all tokens of a target at once.

        Args:
          source: [B, *source_space.shape].
          target: i32[B, L], or i32[B, L, K] of a depth K above 1.
          drop: bool[B], true where the source is withheld.
          keys: one dropout key per example; None outside training.
        """
        reading = self.read_source(source, drop, keys)
        logits = self.predict(target, reading, keys)
        if not self.ctc:
            return Predictions(logits)
        vectors, mask = reading.encoded
        mask = jnp.ones(vectors.shape[:2], bool) if mask is None else mask
        return Predictions(logits, self.ctc_head(vectors), mask)

    def read_source(
        self, source: Value, drop: jax.Array, keys: jax.Array | None = None
    ) -> SourceReading:
        """Returns what `predict` reads of a source; arguments are those of `__call__`."""
        encoded = self.source_encoder(source, drop, keys)
        inputs = self.conditioning(encoded, self.num_positions, self.first_prediction)
        copied = self.head.read_source(encoded.vectors, source, drop)
        return SourceReading(encoded, inputs, copied)

    def predict(
        self,
        target: jax.Array,
        reading: SourceReading,
        keys: jax.Array | None = None,
        unstacked: list[Params] | None = None,
    ) -> jax.Array:
        """Returns logits f32[B, L, V], or [B, L, K, V], of a whole target.

        `reading` is from `read_source`, and `unstacked` from `unstack`, for calls within a
        compiled loop; the other arguments are those of `__call__`.
        """
        x, _ = self._states(target, reading, keys, unstacked)
        return self._logits(x[:, self.first_prediction :], reading.head)

    def alignment(self, source: Value, target: jax.Array, drop: jax.Array) -> jax.Array:
        """Returns the weights of cross-attention, averaged over heads and layers.

        f32[B, L, S], from each prediction to the vectors of the source; arguments are
        those of `__call__`, and `conditioning` has cross-attention.
        """
        reading = self.read_source(source, drop)
        _, outputs = self._states(target, reading)
        mask = reading.encoded.mask
        mask = None if mask is None else mask[:, None, None]
        weights = [
            attention_weights(output.source_queries, output.source[0], mask)
            for output in outputs
        ]
        return jnp.stack(weights).mean(axis=0)

    def prefill(
        self, source: Value, drop: jax.Array
    ) -> tuple[jax.Array, SourceState, list[KeysValues]]:
        """Reads the source.

        Returns:
          Logits f32[B, V], or [B, K, V], of the first token; what further steps read of
          the source; and a cache per layer.
        """
        encoded, inputs, copied = self.read_source(source, drop)
        x = self._embed_positions(inputs.prefix, inputs.offsets, 0)
        mask = jnp.arange(self.num_positions)[None] < self.prefix_length
        head_dim = self.width // self.num_heads
        shape = x.shape[0], self.num_heads, head_dim, self.num_positions
        keys = jnp.zeros(shape, self.dtype)
        empty = BlockInputs((keys, keys.swapaxes(2, 3)))
        x, outputs = self.layers(
            x,
            self._mask_prefix(mask, inputs.prefix_mask),
            encoded.vectors,
            encoded.mask,
            per_layer=[empty] * self.num_layers,
        )
        keys_values = [output.source for output in outputs]
        state = SourceState(
            keys_values, encoded.mask, inputs.prefix_mask, inputs.offsets, copied
        )
        logits = self._logits(x[:, -1:], copied)[:, 0]
        return logits, state, [output.cache for output in outputs]

    def step(
        self,
        token: jax.Array,
        index: jax.Array,
        source: SourceState,
        caches: list[KeysValues],
        unstacked: list[Params] | None = None,
    ) -> tuple[jax.Array, list[KeysValues]]:
        """Reads a token and predicts the next one.

        Args:
          token: i32[B], or i32[B, K].
          index: i32[], its position in the target.
          source: from `prefill`.
          caches: one per layer.
          unstacked: from `unstack`, for steps within a compiled loop.

        Returns:
          Logits f32[B, V], or [B, K, V], and the caches with that token.
        """
        position = self.prefix_length + index
        x = self._embed(token[:, None])
        x = self._embed_positions(x, source.offsets, position)
        mask = jnp.arange(self.num_positions)[None] <= position
        x, outputs = self.layers(
            x,
            self._mask_prefix(mask, source.prefix_mask),
            None,
            source.mask,
            None,
            position,
            per_layer=list(map(BlockInputs, caches, source.keys_values)),
            unstacked=unstacked,
        )
        logits = self._logits(x, source.head)[:, 0]
        return logits, [output.cache for output in outputs]

    def unstack(self) -> list[Params]:
        """Returns the parameters of each block of the decoder."""
        return self.layers.unstack()

    def _states(
        self,
        target: jax.Array,
        reading: SourceReading,
        keys: jax.Array | None = None,
        unstacked: list[Params] | None = None,
    ) -> tuple[jax.Array, list[BlockOutputs]]:
        """Returns states [B, num_positions, W] and block outputs."""
        tokens = target[:, :-1] if self.causal else target
        encoded, inputs, _ = reading
        x = jnp.concatenate([inputs.prefix, self._embed(tokens)], axis=1)
        x = self._embed_positions(x, inputs.offsets, 0)
        mask = self._attention_mask(inputs.prefix_mask)
        return self.layers(x, mask, *encoded, keys, unstacked=unstacked)

    def _attention_mask(self, prefix_mask: jax.Array | None) -> jax.Array | None:
        """Returns which positions attend to which, [Q, T] or [B, 1, Q, T]; None for all."""
        if self.causal:
            rows, columns = jnp.indices(2 * (self.num_positions,), sparse=True)
            mask = (columns <= rows) | (columns < self.prefix_length)
            return self._mask_prefix(mask, prefix_mask)
        if prefix_mask is None:
            return None
        return self._mask_prefix(jnp.ones((1, self.num_positions), bool), prefix_mask)

    def _embed(self, tokens: jax.Array) -> jax.Array:
        """Embeds tokens [B, L], or stacks [B, L, K], as [B, L, W]."""
        if self.depth == 1:
            return self.embed(tokens).astype(self.dtype)
        first_ids = (self.vocab + 1) * jnp.arange(self.depth)
        return self.embed(tokens + first_ids).sum(axis=-2).astype(self.dtype)

    def _embed_positions(
        self, x_BxQxW: jax.Array, offsets: jax.Array | None, position: jax.Array | int
    ) -> jax.Array:
        """Adds what belongs to Q positions, the first of which is given."""
        number = x_BxQxW.shape[1]
        cut = functools.partial(
            jax.lax.dynamic_slice_in_dim, start_index=position, slice_size=number
        )
        x_BxQxW = x_BxQxW + cut(self.positions).astype(self.dtype)
        return x_BxQxW if offsets is None else x_BxQxW + cut(offsets, axis=1)

    def _mask_prefix(self, mask: jax.Array, prefix_mask: jax.Array | None) -> jax.Array:
        """Masks the padding of a prefix in a mask [Q, num_positions]."""
        if prefix_mask is None:
            return mask
        number = self.num_positions - self.prefix_length
        tokens = jnp.ones((prefix_mask.shape[0], number), bool)
        return mask & jnp.concatenate([prefix_mask, tokens], axis=1)[:, None, None]

    def _logits(self, x_BxQxW: jax.Array, copied: Any) -> jax.Array:
        table = self.embed.embedding[: self.vocab]
        logits = self.head(self.norm(x_BxQxW), table, copied)
        if self.depth == 1:
            return logits
        return logits.reshape(*x_BxQxW.shape[:2], self.depth, self.vocab)
