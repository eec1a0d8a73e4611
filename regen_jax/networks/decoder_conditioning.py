"""How a decoder of tokens is conditioned on an encoded source."""

from typing import ClassVar, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.layers import normal
from regen_jax.networks.linear import Linear
from regen_jax.networks.source_encoder import EncoderOutput


class SourceInputs(NamedTuple):
    """What a decoder takes from a source.

    Attributes:
      prefix: [B, P, W], the vectors before the first token.
      prefix_mask: bool[B, P], those of them to attend to; None where that is all.
      offsets: [B, T, W], added to the embedding of each position; None for nothing.
    """

    prefix: jax.Array
    prefix_mask: jax.Array | None = None
    offsets: jax.Array | None = None


class Conditioning(Protocol):
    """A Linen module that says how a source enters a decoder.

    Attributes:
      cross: whether blocks attend to the vectors of the source.
    """

    cross: ClassVar[bool]

    def prefix_length(self, source_length: int) -> int:
        """Returns the number of positions before the first token."""

    def __call__(
        self, encoded: EncoderOutput, num_positions: int, first_prediction: int
    ) -> SourceInputs:
        """Returns the inputs of a decoder.

        Args:
          encoded: the source.
          num_positions: of the decoder, prefix included.
          first_prediction: the position that predicts the first token.
        """


class Prefix(nn.Module):
    """Puts the source before the tokens; all of it attends to all of it."""

    cross = False

    def prefix_length(self, source_length: int) -> int:
        return source_length

    def __call__(
        self, encoded: EncoderOutput, num_positions: int, first_prediction: int
    ) -> SourceInputs:
        return SourceInputs(encoded.vectors, encoded.mask)


class _AfterStart(nn.Module):
    """A conditioning of which a learned vector precedes the tokens."""

    def prefix_length(self, source_length: int) -> int:
        return 1

    @nn.nowrap
    def start_vector(self, vectors_BxSxW: jax.Array) -> jax.Array:
        """Returns the learned vector for each example, [B, 1, W]."""
        batch, _, width = vectors_BxSxW.shape
        start = self.param("start", normal, (1, width)).astype(vectors_BxSxW.dtype)
        return jnp.broadcast_to(start, (batch, 1, width))


class CrossAttention(_AfterStart):
    """Has every block attend to the source; a learned vector precedes the tokens."""

    cross = True

    @nn.compact
    def __call__(
        self, encoded: EncoderOutput, num_positions: int, first_prediction: int
    ) -> SourceInputs:
        return SourceInputs(self.start_vector(encoded.vectors))


class Aligned(_AfterStart):
    """Adds each vector of the source to the positions that it belongs to.

    For a target that is time-aligned with its source, or with a field of it: the mean of
    all other vectors is added to every position. A learned vector precedes the tokens.

    Attributes:
      length: of the target; it divides the number of time-aligned vectors, or is divided
        by it.
      start: first time-aligned vector.
      number: of time-aligned vectors; 0 for all.
    """

    length: int
    start: int = 0
    number: int = 0

    cross = False

    @nn.compact
    def __call__(
        self, encoded: EncoderOutput, num_positions: int, first_prediction: int
    ) -> SourceInputs:
        x, others = encoded.vectors, None
        if self.number:
            end = self.start + self.number
            others = self._mean_of_others(encoded, end)
            x = x[:, self.start : end]
        batch, number, width = x.shape
        if number > self.length:
            # Several vectors belong to one position.
            x = x.reshape(batch, self.length, number // self.length * width)
        x = Linear(width, dtype=x.dtype, name="project")(x)
        x = jnp.repeat(x, self.length // x.shape[1], axis=1)
        if others is not None:
            x = x + Linear(width, dtype=x.dtype, name="others")(others)
        # Positions after the target, which a delay adds, get nothing.
        after = num_positions - first_prediction - self.length
        x = jnp.pad(x, ((0, 0), (first_prediction, after), (0, 0)))
        return SourceInputs(self.start_vector(encoded.vectors), offsets=x)

    def _mean_of_others(self, encoded: EncoderOutput, end: int) -> jax.Array:
        """Returns the mean [B, 1, W] of the vectors before `start` and from `end` on."""
        vectors, mask = encoded
        batch, length, _ = vectors.shape
        index = jnp.arange(length)
        others = jnp.broadcast_to(
            (index < self.start) | (index >= end), (batch, length)
        )
        others = others if mask is None else others & mask
        total = jnp.where(others[..., None], vectors, 0).sum(axis=1, keepdims=True)
        return total / jnp.maximum(others.sum(axis=1), 1)[:, None, None]
