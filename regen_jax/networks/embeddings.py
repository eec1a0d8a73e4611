"""Embeds sources of any space; dropout with one key per example."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.layers import Dense, Embed, LayerNorm, Module, normal
from regen_jax.networks.linear import Linear
from regen_jax.networks.picture_embedding import (
    PictureEmbedding,
    is_picture,
    picture_length,
)
from regen_jax.spaces import (
    Array,
    Category,
    Padded,
    Record,
    Space,
    Tokens,
    Value,
    length_mask,
    lengths,
)


def source_length(space: Space, stride: int = 1) -> int:
    """Returns the number of vectors that `SourceEmbedding` makes of one example."""
    match space:
        case Category():
            return 1
        case Tokens():
            return space.length
        case Array():
            return -(-space.shape[0] // stride) * math.prod(space.shape[1:-1])
        case Record():
            return sum(field_lengths(space, stride).values())


def field_lengths(space: Record, stride: int = 1) -> dict[str, int]:
    """Returns the numbers of vectors that `SourceEmbedding` makes of each field."""
    return {
        name: picture_length(field)
        if is_picture(field)
        else source_length(field, _field_stride(field, stride))
        for name, field in space.fields
    }


def _field_stride(field: Space, stride: int) -> int:
    """Returns the stride of a field of a Record: only frames are folded."""
    return stride if isinstance(field, Array) and len(field.shape) == 2 else 1


def source_mask(space: Space, source: Any, stride: int = 1) -> jax.Array | None:
    """Returns bool[B, source_length], the vectors of `SourceEmbedding` before the end.

    None for a space without padding.
    """
    if isinstance(space, Record):
        batch_size = len(jax.tree.leaves(source)[0])
        return join_masks(
            [
                source_mask(field, source[name], _field_stride(field, stride))
                for name, field in space.fields
            ],
            [(batch_size, n) for n in field_lengths(space, stride).values()],
        )
    if isinstance(space, Category) or not space.padded:
        return None
    # A last group of frames that is full in part is no padding.
    length = -(-lengths(space, source) // stride)
    rows = -(-space.shape[0] // stride)
    return jnp.repeat(
        length_mask(length, rows), source_length(space, stride) // rows, 1
    )


def join_masks(
    masks: Sequence[jax.Array | None], shapes: Sequence[tuple[int, int]]
) -> jax.Array | None:
    """Joins masks of these shapes [B, N_i] to bool[B, sum of N_i].

    None stands for a mask that is true everywhere, as an argument and as the result.
    """
    if all(mask is None for mask in masks):
        return None
    filled = [
        jnp.ones(shape, bool) if mask is None else mask
        for mask, shape in zip(masks, shapes, strict=True)
    ]
    return jnp.concatenate(filled, axis=1)


class SourceEmbedding(Module):
    """Embeds a source [B, *space.shape] as [B, source_length, width].

    A Record is embedded field by field, its pictures by `PictureEmbedding`. A dropped
    source becomes a learned null vector, the condition that classifier-free guidance (Ho
    and Salimans, arXiv 2207.12598) extrapolates away from. Padding is embedded as the same
    vector.

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
    def __call__(self, source: Any, drop: jax.Array) -> jax.Array:
        """Embeds a source [B, *space.shape], withheld where drop bool[B] is true."""
        if isinstance(self.space, Record):
            fields = [
                self._field(name, field, source[name], drop)
                for name, field in self.space.fields
            ]
            return jnp.concatenate(fields, axis=1)
        mask = source_mask(self.space, source, self.stride)
        match self.space:
            case Category(size):
                x = Embed(
                    size,
                    self.width,
                    dtype=self.dtype,
                    name="category",
                )(source)[:, None]
            case Tokens() if self.table is not None:
                x = self.table(source).astype(self.dtype)
            case Tokens(vocab=vocab, depth=depth):
                x = Embed(
                    vocab * depth,
                    self.width,
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
                    x = Dense(self.width, dtype=self.dtype, name="values")(x)
        length = source_length(self.space, self.stride)
        if length > 1:
            x = x + self.param("positions", normal, (length, self.width)).astype(
                self.dtype
            )
        null = self.param("null", normal, (self.width,)).astype(self.dtype)
        hidden = drop[:, None] if mask is None else drop[:, None] | ~mask
        return jnp.where(hidden[..., None], null, x)

    def _field(
        self, name: str, field: Space, value: Value, drop: jax.Array
    ) -> jax.Array:
        """Embeds a field of a Record."""
        if not is_picture(field):
            stride = _field_stride(field, self.stride)
            embed = SourceEmbedding(field, self.width, self.dtype, stride, name=name)
            return embed(value, drop)
        return PictureSource(field, self.width, self.dtype, name=name)(value, drop)

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
        x = nn.gelu(LayerNorm(dtype=self.dtype, name="norm")(x))
        x = jnp.pad(silence(x, mask), ((0, 0), (1, 1), (0, 0)))
        x = jnp.concatenate([x[:, :-2], x[:, 1:-1], x[:, 2:]], axis=-1)
        return Linear(self.width, dtype=self.dtype, name="convolve")(x)


class PictureSource(Module):
    """Embeds pictures [B, H, W, C] as [B, N, width], dropped as by `SourceEmbedding`."""

    space: Array
    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, pictures: jax.Array, drop: jax.Array) -> jax.Array:
        embed = PictureEmbedding(self.space, self.width, self.dtype, name="embed")
        x = embed(pictures)
        x = x + self.param("positions", normal, x.shape[1:]).astype(self.dtype)
        null = self.param("null", normal, (self.width,)).astype(self.dtype)
        return jnp.where(drop[:, None, None], null, x)


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
