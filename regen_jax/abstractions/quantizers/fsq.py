"""Finite scalar quantization: round each channel to a few levels.

Mentzer, Minnen, Agustsson and Tschannen, "Finite Scalar Quantization: VQ-VAE Made
Simple" (arXiv 2309.15505).
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.quantizers.interface import (
    Codebook,
    Quantized,
    Quantizer,
    everywhere,
)
from regen_jax.metrics import codebook as codebook_metrics


@dataclasses.dataclass(frozen=True)
class FiniteScalarQuantizer(Quantizer):
    """No codebook and nothing to collapse: K is the product of the levels.

    Attributes:
      levels: number of values of each channel; its length is the latent dimension D.
    """

    levels: tuple[int, ...] = (8, 4, 4)

    def __post_init__(self):
        object.__setattr__(self, "levels", tuple(self.levels))
        # Beyond, the margin of `_bound` would reach past the outermost level.
        if not self.levels or min(self.levels) < 2 or max(self.levels) > 1000:
            raise ValueError(f"levels must be from 2 to 1000 each, not {self.levels}")

    @property
    def vocab(self) -> int:
        return math.prod(self.levels)

    @property
    def latent_dim(self) -> int:
        return len(self.levels)

    def encode(self, codebook: Codebook, latents: jax.Array) -> jax.Array:
        return self._index(jnp.round(self._bound(latents)))

    def decode(self, codebook: Codebook, codes: jax.Array) -> jax.Array:
        digits = codes[..., None] // self._basis % np.array(self.levels)
        return ((digits - self._half) / self._half).astype(jnp.float32)

    def quantize(
        self,
        codebook: Codebook,
        keys: jax.Array,
        latents: jax.Array,
        mask: jax.Array | None = None,
        train: bool = False,
    ) -> Quantized:
        bounded = self._bound(latents)
        rounded = jax.lax.stop_gradient(jnp.round(bounded))
        values = (bounded + jax.lax.stop_gradient(rounded - bounded)) / self._half
        codes = self._index(rounded)
        mask = everywhere(latents) if mask is None else mask
        # Counts of a code that is none are dropped.
        counted = jnp.where(mask, codes, self.vocab)
        counts = codebook_metrics.code_counts(counted, self.vocab)
        loss = jnp.zeros(latents.shape[0], jnp.float32)
        return Quantized(codes, values, loss, {"code_counts": counts}, {})

    @property
    def _half(self) -> np.ndarray:
        return np.array(self.levels) // 2

    @property
    def _basis(self) -> np.ndarray:
        return np.cumprod((1, *self.levels[:-1]))

    def _bound(self, latents: jax.Array) -> jax.Array:
        """Squashes z so that rounding gives each level of each channel (their f(z)).

        An even number of levels is rounded off-centre, hence the shift.
        """
        levels = np.array(self.levels, np.float32)
        reach = (levels - 1) * (1 + 1e-3) / 2
        offset = np.where(np.array(self.levels) % 2 == 0, 0.5, 0.0).astype(np.float32)
        shift = np.arctanh(offset / reach)
        return jnp.tanh(latents.astype(jnp.float32) + shift) * reach - offset

    def _index(self, rounded: jax.Array) -> jax.Array:
        digits = rounded.astype(jnp.int32) + self._half
        return jnp.sum(digits * self._basis, axis=-1).astype(jnp.int32)
