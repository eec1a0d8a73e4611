"""Embeds sources of any space; dropout with one key per example."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.linear import Linear
from regen_jax.spaces import (
    Array,
    Category,
    Padded,
    Space,
    Tokens,
    Value,
    length_mask,
    lengths,
)

INIT = nn.initializers.normal(0.02)


def source_length(space: Space, stride: int = 1) -> int:
    """Returns the number of vectors that `SourceEmbedding` makes of one example."""
    match space:
        case Category():
            return 1
        case Tokens():
            return space.length
        case Array():
            return -(-space.shape[0] // stride) * math.prod(space.shape[1:-1])


def source_mask(space: Space, source: Value, stride: int = 1) -> jax.Array | None:
    """Returns bool[B, source_length], the vectors of `SourceEmbedding` before the end.

    None for a space without padding.
    """
    if isinstance(space, Category) or not space.padded:
        return None
    # A last group of frames that is full in part is no padding.
    length = -(-lengths(space, source) // stride)
    rows = -(-space.shape[0] // stride)
    return jnp.repeat(
        length_mask(length, rows), source_length(space, stride) // rows, 1
    )


class SourceEmbedding(nn.Module):
    """Embeds a source [B, *space.shape] as [B, source_length, width].

    A dropped source becomes a learned null vector, the condition that classifier-free
    guidance (Ho and Salimans, arXiv 2207.12598) extrapolates away from. Padding is
    embedded as the same vector.

    Attributes:
      stride: number of frames of an Array [time, channels] that are folded into one
        vector. Above 1, a convolution over three of these follows: the stem of speech
        encoders (Radford et al., arXiv 2212.04356, section 2.2) as two dense products.
      table: embeds Tokens, which are one deep, in place of a table of their own.
    """

    space: Space
    width: int
    dtype: jnp.dtype = jnp.float32
    stride: int = 1
    table: nn.Embed | None = None

    @nn.compact
    def __call__(self, source: Value, drop: jax.Array) -> jax.Array:
        """Embeds a source [B, *space.shape], withheld where drop bool[B] is true."""
        mask = source_mask(self.space, source, self.stride)
        match self.space:
            case Category(size):
                x = nn.Embed(
                    size,
                    self.width,
                    embedding_init=INIT,
                    dtype=self.dtype,
                    name="category",
                )(source)[:, None]
            case Tokens() if self.table is not None:
                x = self.table(source).astype(self.dtype)
            case Tokens(vocab=vocab, depth=depth):
                x = nn.Embed(
                    vocab * depth,
                    self.width,
                    embedding_init=INIT,
                    dtype=self.dtype,
                    name="tokens",
                )(source if depth == 1 else source + vocab * jnp.arange(depth))
                x = x if depth == 1 else x.sum(axis=-2)
            case Array():
                values = source.values if isinstance(source, Padded) else source
                x = self.space.normalize(values)
                x = x.reshape(x.shape[0], -1, x.shape[-1])
                if self.stride > 1:
                    frames = source_mask(self.space, source)
                    x = self._stem(x, frames, mask)
                else:
                    x = nn.Dense(self.width, dtype=self.dtype, name="values")(x)
        length = source_length(self.space, self.stride)
        if length > 1:
            x = x + self.param("positions", INIT, (length, self.width)).astype(
                self.dtype
            )
        null = self.param("null", INIT, (self.width,)).astype(self.dtype)
        hidden = drop[:, None] if mask is None else drop[:, None] | ~mask
        return jnp.where(hidden[..., None], null, x)

    def _stem(
        self, x_BxTxC: jax.Array, frames: jax.Array | None, mask: jax.Array | None
    ) -> jax.Array:
        """Maps [B, T, C] to [B, T / stride, width].

        `frames` bool[B, T] and `mask` bool[B, T / stride] are true before the end.
        """

        def silence(x: jax.Array, mask: jax.Array | None) -> jax.Array:
            return x if mask is None else jnp.where(mask[..., None], x, 0)

        batch, time, channels = x_BxTxC.shape
        rows = -(-time // self.stride)
        x = silence(x_BxTxC, frames)
        x = jnp.pad(x, ((0, 0), (0, rows * self.stride - time), (0, 0)))
        x = x.reshape(batch, rows, self.stride * channels)
        x = Linear(self.width, dtype=self.dtype, name="values")(x)
        # The scale of an unbounded space is not known.
        x = nn.gelu(nn.LayerNorm(dtype=self.dtype, name="norm")(x))
        x = jnp.pad(silence(x, mask), ((0, 0), (1, 1), (0, 0)))
        x = jnp.concatenate([x[:, :-2], x[:, 1:-1], x[:, 2:]], axis=-1)
        return Linear(self.width, dtype=self.dtype, name="convolve")(x)


def source_dropouts(keys: jax.Array, rate: float, train: bool) -> jax.Array:
    """Draws the examples to train without source, bool[B], from one key per example.

    Classifier-free guidance needs such examples. There are none where `train` is false.
    """
    if not train or rate == 0:
        return jnp.zeros(keys.shape, bool)
    return jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 0), rate))(
        keys
    )


def dropout(
    x: jax.Array, keys: jax.Array | None, rate: float, index: int | jax.Array
) -> jax.Array:
    """Applies inverted dropout to x [B, ...].

    Args:
      x: the input.
      keys: one per example; None returns x as it is.
      rate: at most 255/256, and rounded to 1/256, since a byte decides on each value: a
        quarter of the random bits that a float needs.
      index: makes uses of the same keys independent.
    """
    dropped = round(256 * rate)
    if keys is None or dropped == 0:
        return x

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.bits(jax.random.fold_in(key, index), x.shape[1:], jnp.uint8)

    keep = jax.vmap(draw)(keys) >= dropped
    return jnp.where(keep, x * (256 / (256 - dropped)), 0).astype(x.dtype)
