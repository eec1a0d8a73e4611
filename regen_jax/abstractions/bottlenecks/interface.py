"""What a quantizer is: latents to codes and back, always in float32."""

import abc
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

Codebook = Mapping[str, jax.Array]


class Quantized(NamedTuple):
    """Latents after quantization.

    Attributes:
      codes: i32[B, *grid], or [B, *grid, depth] of a quantizer with depth.
      values: f32[B, *grid, D], with gradients passed straight through to the latents.
      loss: f32[B], what keeps latents and codes together.
      sums: statistics summed over examples, for `update`; `code_counts` [K], or
        [depth, K], among them.
      per_example: statistics kept an example, for `update`.
    """

    codes: jax.Array
    values: jax.Array
    loss: jax.Array
    sums: dict[str, jax.Array]
    per_example: dict[str, jax.Array]


class Quantizer(abc.ABC):
    """A subclass is a frozen dataclass of options; a codebook is an argument."""

    registry: ClassVar[str] = "regen_jax.abstractions.bottlenecks"
    depth: int = 1
    """Codes a latent; where more than one, they are the last axis of codes."""

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
        self,
        codebook: Codebook,
        keys: jax.Array,
        latents: jax.Array,
        mask: jax.Array | None = None,
        train: bool = False,
    ) -> Quantized:
        """Quantizes latents [B, *grid, D] of any float dtype, in float32.

        `mask` bool[B, *grid] is true where a position counts, None for everywhere:
        losses and statistics leave the others out. Their codes and values mean nothing.
        """

    @abc.abstractmethod
    def encode(
        self, codebook: Codebook, latents: jax.Array, mask: jax.Array | None = None
    ) -> jax.Array:
        """Returns codes i32[B, *grid] (or [B, *grid, depth]) of latents [B, *grid, D].

        They equal the codes of `quantize` with the same `mask`.
        """

    @abc.abstractmethod
    def decode(self, codebook: Codebook, codes: jax.Array) -> jax.Array:
        """Values f32[B, *grid, D] of codes as `encode` makes them."""

    def update(
        self,
        codebook: Codebook,
        rng: jax.Array,
        totals: dict[str, jax.Array],
        examples: dict[str, jax.Array],
    ) -> Codebook:
        """The codebook after a step, from the statistics of the global batch."""
        return codebook


def everywhere(latents: jax.Array) -> jax.Array:
    """The mask of latents [B, *grid, D] that all count."""
    return jnp.ones(latents.shape[:-1], bool)


def masked_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns means f32[B] of x [B, *grid] over the positions in `mask`; 0 if none is."""
    grid = tuple(range(1, mask.ndim))
    number = jnp.maximum(mask.sum(axis=grid), 1)
    # Not a product with the mask: 0 times infinity is NaN.
    return jnp.where(mask, x, 0).sum(axis=grid) / number
