"""Lays a sequence of tokens out over the time axis of a target, by learned durations.

Durations are learned with the generator, from pairs alone, as in Glow-TTS (Kim et al.,
arXiv 2005.11129) and Grad-TTS (Popov et al., arXiv 2105.06337, section 3).
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.embeddings import SourceEmbedding, dropout
from regen_jax.networks.layer_stack import Layer, LayerStack
from regen_jax.networks.layers import LayerNorm, zeros
from regen_jax.networks.linear import Linear
from regen_jax.networks.monotonic_alignment import (
    monotonic_path,
    round_durations,
    upsample,
)
from regen_jax.ranges import Checked, Count, Dropout, Dtype, Natural
from regen_jax.spaces import Array, Padded, Tokens, length_mask, lengths

# Squared distance from the diagonal, in fractions of both lengths, against squared error
# per value: it decides on the first alignments, and is small beside later errors.
_DIAGONAL = 0.2
# Streams of dropout that a network of any depth leaves alone.
_STREAM = 10_000


class EncodedTokens(NamedTuple):
    """What `DurationEncoder` gives of each token.

    Attributes:
      mean: f32[B, S, C], of the token's frames, normalized.
      hidden: [B, S, W].
      log_duration: f32[B, S], of frames.
      length: i32[B], tokens that are not padding.
    """

    mean: jax.Array
    hidden: jax.Array
    log_duration: jax.Array
    length: jax.Array


class Convolution(nn.Module):
    """Convolves normalized features over 5 tokens; padding counts as 0."""

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x_BxSxW: jax.Array, mask_BxS: jax.Array) -> jax.Array:
        width, size = x_BxSxW.shape[-1], x_BxSxW.shape[1]
        h = LayerNorm(dtype=self.dtype, name="norm")(x_BxSxW)
        h = jnp.pad(jnp.where(mask_BxS[..., None], h, 0), ((0, 0), (2, 2), (0, 0)))
        # One matrix product, which CPUs do several times as fast as a convolution.
        h = jnp.concatenate([h[:, i : i + size] for i in range(5)], axis=-1)
        h = nn.gelu(Linear(width, dtype=self.dtype, name="conv")(h))
        return Linear(width, dtype=self.dtype, name="out")(h)


class ResidualBlock(nn.Module):
    """A layer of the encoder."""

    dropout: float
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        x_BxSxW: jax.Array,
        layer: Layer,
        mask_BxS: jax.Array,
        keys: jax.Array | None,
    ) -> tuple[jax.Array, None]:
        y = Convolution(self.dtype, name="convolution")(x_BxSxW, mask_BxS)
        return x_BxSxW + dropout(y, keys, self.dropout, layer.index), None


@dataclasses.dataclass(frozen=True)
class DurationEncoderOptions(Checked):
    """Options of a `DurationEncoder`.

    Attributes:
      width: of each vector.
      num_layers: convolutions over the tokens.
      dropout: rate of each layer's output, in training; rounded to 1/256: below 1/512
        there is none.
      dtype: of the computation; means and durations are float32.
    """

    width: Count = 128
    num_layers: Natural = 2
    dropout: Dropout = 0.0
    dtype: Dtype = "float32"


class DurationEncoder(nn.Module):
    """Encodes tokens [B, *source.shape] and predicts the mean and number of their frames.

    Attributes:
      source_space: of S tokens.
      target_space: of T frames of C channels; durations start at T / S.
      options: of the size of the network.
    """

    source_space: Tokens
    target_space: Array
    options: DurationEncoderOptions

    @nn.compact
    def __call__(
        self, source: jax.Array, keys: jax.Array | None = None
    ) -> EncodedTokens:
        options, dtype = self.options, jnp.dtype(self.options.dtype)
        length = lengths(self.source_space, source)
        mask = length_mask(length, self.source_space.length)
        embed = SourceEmbedding(self.source_space, options.width, dtype, name="embed")
        x = embed(source, jnp.zeros(source.shape[0], bool))
        if options.num_layers:
            block = functools.partial(ResidualBlock, options.dropout, dtype)
            layers = LayerStack(block, options.num_layers, _STREAM, name="layers")
            x, _ = layers(x, mask, keys)
        x = LayerNorm(dtype=dtype, name="norm")(x)
        # Means start equal, so that the diagonal decides on the first alignment.
        mean = Linear(self.target_space.shape[-1], kernel_init=zeros, name="mean")(
            x.astype(jnp.float32)
        )
        # Durations follow from the encoding, and shall not shape it.
        y = Convolution(dtype, name="duration")(jax.lax.stop_gradient(x), mask)
        y = dropout(y, keys, options.dropout, _STREAM + options.num_layers)
        y = Linear(1, kernel_init=zeros, name="log_duration")(y.astype(jnp.float32))
        start = math.log(max(self.target_space.shape[0] / self.source_space.length, 1))
        return EncodedTokens(mean, x, y[..., 0] + start, length)


class Alignment(NamedTuple):
    """How targets lie over their sources.

    Attributes:
      features: of each frame, [B, T, C + W + 1], see `lay_out`.
      path: bool[B, T, S], true where a frame belongs to a token.
      alignment_loss: f32[B], half the mean squared error of the means, without padding.
      duration_loss: f32[B], mean squared error of log durations.
    """

    features: Padded
    path: jax.Array
    alignment_loss: jax.Array
    duration_loss: jax.Array


def align(encoded: EncodedTokens, target: Padded) -> Alignment:
    """Finds the best alignment of a normalized target, [B, T, C], to its source."""
    frames, channels = target.values.shape[1:]
    valid = length_mask(target.length, frames)[..., None]
    target_BxTxC = jnp.where(valid, target.values, 0)
    means = jax.lax.stop_gradient(encoded.mean).swapaxes(1, 2)
    # Without the square of the target, which is the same for all paths.
    scores = target_BxTxC @ means - 0.5 * jnp.square(means).sum(axis=1, keepdims=True)
    scores -= (
        _DIAGONAL * channels * _off_diagonal(scores, target.length, encoded.length)
    )
    path = monotonic_path(scores, target.length, encoded.length)
    durations = path.sum(axis=1)
    features = lay_out(encoded, durations, frames)._replace(length=target.length)

    error = jnp.square(target_BxTxC - features.values[..., :channels]).sum(axis=(1, 2))
    alignment_loss = 0.5 * error / jnp.maximum(channels * target.length, 1)
    error = jnp.square(encoded.log_duration - jnp.log(jnp.maximum(durations, 1)))
    present = durations > 0
    duration_loss = jnp.where(present, error, 0).sum(axis=1)
    duration_loss /= jnp.maximum(present.sum(axis=1), 1)
    return Alignment(features, path, alignment_loss, duration_loss)


def predict_durations(encoded: EncodedTokens, frames: int) -> jax.Array:
    """Returns whole durations i32[B, S] whose sums are at most `frames`."""
    return round_durations(jnp.exp(encoded.log_duration), encoded.length, frames)


def lay_out(encoded: EncodedTokens, durations_BxS: jax.Array, frames: int) -> Padded:
    """Repeats the encoding of each token for its duration.

    Returns:
      [B, frames, C + W + 1]: the mean and hidden features of each frame's token, and the
      place of the frame in it, from -1 to 1; and lengths i32[B], beyond which all is 0.
    """
    mean, length = upsample(encoded.mean, durations_BxS, frames)
    hidden, _ = upsample(encoded.hidden, durations_BxS, frames)
    # The place tells frames of a token apart: a sound changes while it lasts.
    spans = jnp.stack([jnp.cumsum(durations_BxS, axis=1), durations_BxS], axis=-1)
    spans_BxTx2, _ = upsample(spans.astype(jnp.float32), durations_BxS, frames)
    end, duration = jnp.split(spans_BxTx2, 2, axis=-1)
    remaining = end - jnp.arange(frames)[:, None] - 0.5
    place = 1 - 2 * remaining / jnp.maximum(duration, 1)
    place = jnp.where(duration > 0, place, 0).astype(hidden.dtype)
    return Padded(jnp.concatenate([mean, hidden, place], axis=-1), length)


def _off_diagonal(
    scores: jax.Array, frames_B: jax.Array, positions_B: jax.Array
) -> jax.Array:
    """Returns the squared difference of the fractions of both lengths, f32[B, T, S]."""
    time = (jnp.arange(scores.shape[1]) + 0.5) / jnp.maximum(frames_B, 1)[:, None]
    place = (jnp.arange(scores.shape[2]) + 0.5) / jnp.maximum(positions_B, 1)[:, None]
    return jnp.square(time[:, :, None] - place[:, None])
