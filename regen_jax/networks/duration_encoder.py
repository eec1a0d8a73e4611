"""A sequence of tokens laid out over the time axis of what is to be generated.

Durations are learned with the generator, from pairs alone, as in Glow-TTS (Kim et al.,
arXiv 2005.11129) and Grad-TTS (Popov et al., arXiv 2105.06337, section 3).
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.embeddings import SourceEmbedding, dropout
from regen_jax.networks.linear import Linear
from regen_jax.networks.monotonic_alignment import (
    monotonic_path,
    upsample,
    whole_durations,
)
from regen_jax.spaces import Array, Padded, Tokens, length_mask, lengths

# Squared distance from the diagonal, in shares of both lengths, against squared error
# a value: it settles the first steps, and is small beside the errors of later ones.
_DIAGONAL = 0.2
# The streams of dropout that a DiT of any depth leaves alone.
_STREAM = 10_000


class Canvas(NamedTuple):
    """A source over the time axis of a target [T, C], 0 beyond its length.

    Attributes:
      mean: f32 [B, T, C], a first guess of the normalized target.
      hidden: [B, T, W + 1], what the encoder says of each frame's token, and the place
        of the frame in it.
      length: i32 [B], frames.
    """

    mean: jax.Array
    hidden: jax.Array
    length: jax.Array


class Encoded(NamedTuple):
    """What `TextEncoder` says of each token.

    Attributes:
      mean: f32 [B, S, C], of its frames.
      hidden: [B, S, W].
      log_duration: f32 [B, S], in frames.
      length: i32 [B], tokens that count.
    """

    mean: jax.Array
    hidden: jax.Array
    log_duration: jax.Array
    length: jax.Array


class ConvBlock(nn.Module):
    """A residual convolution over 5 tokens; it sees 0 beyond the mask [B, S]."""

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x_BxSxW: jax.Array, mask: jax.Array) -> jax.Array:
        width, size = x_BxSxW.shape[-1], x_BxSxW.shape[1]
        h = nn.LayerNorm(dtype=self.dtype, name="norm")(x_BxSxW)
        h = jnp.pad(jnp.where(mask[..., None], h, 0), ((0, 0), (2, 2), (0, 0)))
        # One matrix product, which CPUs do several times as fast as a convolution.
        h = jnp.concatenate([h[:, i : i + size] for i in range(5)], axis=-1)
        h = nn.gelu(Linear(width, dtype=self.dtype, name="conv")(h))
        return Linear(width, dtype=self.dtype, name="out")(h)


class TextEncoder(nn.Module):
    """Reads a [B, *source.shape] and says what each token sounds like, and how long.

    Attributes:
      target: of frames and channels, [T, C]; durations start at T / S.
    """

    source_space: Tokens
    target_space: Array
    width: int
    num_layers: int
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, source: jax.Array, keys: jax.Array | None = None) -> Encoded:
        length = lengths(self.source_space, source)
        mask = length_mask(length, self.source_space.length)
        embed = SourceEmbedding(self.source_space, self.width, self.dtype, name="embed")
        x = embed(source, jnp.zeros(source.shape[0], bool))
        for layer in range(self.num_layers):
            y = ConvBlock(self.dtype, name=f"block_{layer}")(x, mask)
            x = x + dropout(y, keys, self.dropout, _STREAM + layer)
        x = nn.LayerNorm(dtype=self.dtype, name="norm")(x)
        # All means alike at the start, the diagonal decides on the first alignment.
        zeros = nn.initializers.zeros
        mean = Linear(self.target_space.shape[-1], kernel_init=zeros, name="mean")(
            x.astype(jnp.float32)
        )
        # Durations follow from what is encoded; they shall not shape it.
        y = ConvBlock(self.dtype, name="duration")(jax.lax.stop_gradient(x), mask)
        y = dropout(y, keys, self.dropout, _STREAM + self.num_layers)
        y = Linear(1, kernel_init=zeros, name="log_duration")(y.astype(jnp.float32))
        start = math.log(max(self.target_space.shape[0] / self.source_space.length, 1))
        return Encoded(mean, x, y[..., 0] + start, length)


class Alignment(NamedTuple):
    """How a target lies over its source: the path bool [B, T, S] and losses f32 [B].

    `alignment_loss` is half the mean squared error of the means over the values that
    count, `duration_loss` the mean squared error of log durations.
    """

    canvas: Canvas
    path: jax.Array
    alignment_loss: jax.Array
    duration_loss: jax.Array


def align(encoded: Encoded, target: Padded) -> Alignment:
    """The best alignment of b, whose values [B, T, C] are normalized, to its source."""
    frames, channels = target.values.shape[1:]
    valid = length_mask(target.length, frames)[..., None]
    b_BxTxC = jnp.where(valid, target.values, 0)
    means = jax.lax.stop_gradient(encoded.mean).swapaxes(1, 2)
    # Less |b|², which is the same for all paths.
    scores = b_BxTxC @ means - 0.5 * jnp.square(means).sum(axis=1, keepdims=True)
    scores -= (
        _DIAGONAL * channels * _off_diagonal(scores, target.length, encoded.length)
    )
    path = monotonic_path(scores, target.length, encoded.length)
    durations = path.sum(axis=1)
    canvas = _draw(encoded, durations, frames)._replace(length=target.length)

    error = jnp.square(b_BxTxC - canvas.mean).sum(axis=(1, 2))
    alignment_loss = 0.5 * error / jnp.maximum(channels * target.length, 1)
    error = jnp.square(encoded.log_duration - jnp.log(jnp.maximum(durations, 1)))
    seen = durations > 0
    duration_loss = jnp.where(seen, error, 0).sum(axis=1)
    duration_loss /= jnp.maximum(seen.sum(axis=1), 1)
    return Alignment(canvas, path, alignment_loss, duration_loss)


def plan(encoded: Encoded, frames: int) -> Canvas:
    """The canvas of a target of at most so many frames, with durations as predicted."""
    predicted = jnp.exp(encoded.log_duration)
    return _draw(encoded, whole_durations(predicted, encoded.length, frames), frames)


def _draw(encoded: Encoded, durations_BxS: jax.Array, frames: int) -> Canvas:
    mean, length = upsample(encoded.mean, durations_BxS, frames)
    hidden, _ = upsample(encoded.hidden, durations_BxS, frames)
    # Where in its token a frame stands, from -1 to 1: a sound changes while it lasts.
    spans = jnp.stack([jnp.cumsum(durations_BxS, axis=1), durations_BxS], axis=-1)
    spans_BxTx2, _ = upsample(spans.astype(jnp.float32), durations_BxS, frames)
    end, duration = jnp.split(spans_BxTx2, 2, axis=-1)
    left = end - jnp.arange(frames)[:, None] - 0.5
    place = 1 - 2 * left / jnp.maximum(duration, 1)
    place = jnp.where(duration > 0, place, 0).astype(hidden.dtype)
    return Canvas(mean, jnp.concatenate([hidden, place], axis=-1), length)


def _off_diagonal(
    scores: jax.Array, frames_B: jax.Array, positions_B: jax.Array
) -> jax.Array:
    """f32 [B, T, S]: squared distance of the shares of both lengths that have passed."""
    time = (jnp.arange(scores.shape[1]) + 0.5) / jnp.maximum(frames_B, 1)[:, None]
    place = (jnp.arange(scores.shape[2]) + 0.5) / jnp.maximum(positions_B, 1)[:, None]
    return jnp.square(time[:, :, None] - place[:, None])
