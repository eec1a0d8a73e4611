"""Finite scalar quantization: round each channel to a few levels.

Mentzer, Minnen, Agustsson and Tschannen, "Finite Scalar Quantization: VQ-VAE Made
Simple" (arXiv 2309.15505).
"""

import dataclasses
import math
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Interval, MinLen

from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
    full_mask,
)
from regen_jax.abstractions.bottlenecks.quantizer import Quantizer
from regen_jax.loss_output import masked_mean
from regen_jax.ranges import NonNegative

Levels = Annotated[int, Interval(ge=2, le=1000)]
"""Beyond, the margin of `_bound` would reach past the outermost level."""

# Beyond the outermost boundary between levels, be they 2 or 20.
_FLAT = 2.0


@dataclasses.dataclass(frozen=True)
class FiniteScalarQuantizer(Quantizer):
    """Rounds each channel of a latent to one of a few levels; K is their product.

    There is no codebook, but codes can still fall out of use. Early in training the
    decoder learns statistics that all examples share, and its gradient moves all latents
    together to where tanh is flat, from where none returns: of 512 codes of verses, the
    perplexity after 100 steps is 5. `standardize` removes what the latents of an example
    share (180); `range_penalty` pulls latents back (51 with weight 0.1). With neither, the
    quantizer is that of the paper. Both act per example, so that codes and gradients do
    not depend on how a batch is split over devices.

    Attributes:
      levels: number of values of each channel; its length is the latent dimension D.
        An even number of levels, 2 among them, has a level at -1 and none at 1.
      standardize: whether each channel is standardized by its mean and deviation over
        the valid positions of its example before it is bounded, with the gradient
        through both. This is not causal in time, and latents of a segment differ from
        those of the whole: for a codec that streams or trains on segments, turn it off
        and set a `range_penalty`.
      range_penalty: weight of the mean square by which latents, as they are bounded,
        exceed [-2, 2], where the slope of tanh is 0.07.
    """

    levels: Annotated[tuple[Levels, ...], MinLen(1)] = (8, 4, 4)
    standardize: bool = True
    range_penalty: NonNegative = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.vocab >= 2**31 - 1:
            raise ValueError(
                f"levels give {self.vocab} codes: use a product below 2**31 - 1, since "
                "codes are int32"
            )

    @property
    def vocab(self) -> int:
        return math.prod(self.levels)

    @property
    def latent_dim(self) -> int:
        return len(self.levels)

    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        return self._index(jnp.round(self._bound(self._unbounded(latents, mask))))

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        digits = codes[..., None] // self._basis % np.array(self.levels)
        return ((digits - self._half) / self._half).astype(jnp.float32)

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        unbounded = self._unbounded(latents, mask)
        bounded = self._bound(unbounded)
        rounded = jax.lax.stop_gradient(jnp.round(bounded))
        values = (bounded + jax.lax.stop_gradient(rounded - bounded)) / self._half
        codes = self._index(rounded)
        mask = full_mask(latents) if mask is None else mask
        counts = self.count_codes(codes, mask)
        excess = jnp.square(jnp.maximum(jnp.abs(unbounded) - _FLAT, 0)).mean(axis=-1)
        loss = self.range_penalty * masked_mean(excess, mask)
        return BottleneckOutput(codes, values, loss, {"code_counts": counts}, {})

    @property
    def _half(self) -> np.ndarray:
        return np.array(self.levels) // 2

    @property
    def _basis(self) -> np.ndarray:
        return np.cumprod((1, *self.levels[:-1]))

    def _unbounded(self, latents: jax.Array, mask: Mask) -> jax.Array:
        """Returns latents in float32, standardized with that option, and 0 in padding."""
        mask = full_mask(latents) if mask is None else mask
        z = jnp.where(mask[..., None], latents.astype(jnp.float32), 0)
        return _standardized(z, mask) if self.standardize else z

    def _bound(self, z: jax.Array) -> jax.Array:
        """Squashes z so that rounding gives each level of each channel (their f(z)).

        An even number of levels is rounded off-center. The shift puts a level's center
        at 0; of two levels both lie where tanh is flat, and 0 is the boundary instead.
        """
        levels = np.array(self.levels, np.float32)
        reach = (levels - 1) * (1 + 1e-3) / 2
        offset = np.where(np.array(self.levels) % 2 == 0, 0.5, 0.0).astype(np.float32)
        shift = np.where(levels == 2, 0, np.arctanh(offset / reach))
        return jnp.tanh(z + shift.astype(np.float32)) * reach - offset

    def _index(self, rounded: jax.Array) -> jax.Array:
        digits = rounded.astype(jnp.int32) + self._half
        return jnp.sum(digits * self._basis, axis=-1).astype(jnp.int32)


def _standardized(z: jax.Array, mask: jax.Array) -> jax.Array:
    """Standardizes z f32[B, *latent_shape, D], 0 in padding, over positions.

    A single position keeps its mean, or it would always be 0. Each variance includes one
    more squared deviation, of 1: it is never 0, and constant channels are not amplified.
    """
    axes = tuple(range(1, mask.ndim))
    number = mask.sum(axis=axes, keepdims=True)[..., None]
    mean = z.sum(axis=axes, keepdims=True) / jnp.maximum(number, 1)
    centered = z - jnp.where(number > 1, mean, 0)
    squares = jnp.where(mask[..., None], jnp.square(centered), 0)
    variance = (1 + squares.sum(axis=axes, keepdims=True)) / (1 + number)
    return centered / jnp.sqrt(variance)
