"""What a quantizer is: latents to codes and back, always in float32."""

import abc
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import jax

Codebook = Mapping[str, jax.Array]


class Quantized(NamedTuple):
    """Latents after quantization.

    Attributes:
      codes: i32[B, *grid].
      values: f32[B, *grid, D], with gradients passed straight through to the latents.
      loss: f32[B], what keeps latents and codes together.
      totals: statistics summed over examples, for `update`.
      examples: statistics kept an example, for `update`.
    """

    codes: jax.Array
    values: jax.Array
    loss: jax.Array
    totals: dict[str, jax.Array]
    examples: dict[str, jax.Array]


class Quantizer(abc.ABC):
    """A subclass is a frozen dataclass of options; a codebook is an argument."""

    home: ClassVar[str] = "regen_jax.abstractions.quantizers"

    @property
    @abc.abstractmethod
    def vocab(self) -> int:
        """Number of codes K."""

    @property
    @abc.abstractmethod
    def latent_dim(self) -> int:
        """Channels D of a latent."""

    def init(self, rng: jax.Array, latents: jax.Array) -> Codebook:
        """A codebook that starts from latents f32[N, D]; empty where none is kept."""
        return {}

    @abc.abstractmethod
    def quantize(
        self, codebook: Codebook, keys: jax.Array, latents: jax.Array
    ) -> Quantized:
        """Quantizes latents [B, *grid, D] of any float dtype, in float32."""

    @abc.abstractmethod
    def encode(self, codebook: Codebook, latents: jax.Array) -> jax.Array:
        """Codes i32[B, *grid] of latents [B, *grid, D]."""

    @abc.abstractmethod
    def decode(self, codebook: Codebook, codes: jax.Array) -> jax.Array:
        """Values f32[B, *grid, D] of codes i32[B, *grid]."""

    def update(
        self,
        codebook: Codebook,
        rng: jax.Array,
        totals: dict[str, jax.Array],
        examples: dict[str, jax.Array],
    ) -> Codebook:
        """The codebook after a step, from the statistics of the global batch.

        `totals` also holds `code_counts` f32[K], which the autoencoder keeps for every
        quantizer.
        """
        return codebook
