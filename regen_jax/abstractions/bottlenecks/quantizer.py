"""What quantizers share: their codes are ids, and Y′ is a sequence of them."""

import abc
import math
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.interface import Bottleneck, Mask
from regen_jax.metrics import codebook
from regen_jax.spaces import Tokens, length_mask, lengths


class Quantizer(Bottleneck):
    """A bottleneck whose codes are i32[B, *latent_shape], or [B, *latent_shape, depth].

    Y′ is those of all latents in raster order. Where it is padded, codes are 1 and up,
    since 0 is padding. `sums` has `code_counts`, f32 or i32 [K] or [depth, K].
    """

    collection = "codebook"
    depth: int = 1
    """Codes per latent; where more than one, they are the last axis of codes."""

    @property
    @abc.abstractmethod
    def vocab(self) -> int:
        """Number of codes K."""

    def output_space(self, latent_shape: tuple[int, ...], padded: bool) -> Tokens:
        vocab = self.vocab + int(padded)
        length = math.prod(latent_shape)
        grid = latent_shape if len(latent_shape) > 1 else ()
        return Tokens(length, vocab, self.depth, padded=padded, grid=grid)

    def pack(self, space: Tokens, codes: jax.Array, mask: Mask) -> jax.Array:
        tokens = codes.reshape(codes.shape[0], *space.shape)
        if mask is None:
            return tokens
        mask = mask.reshape(*mask.shape, *[1] * (tokens.ndim - mask.ndim))
        return jnp.where(mask, tokens + 1, 0)

    def unpack(
        self, space: Tokens, latent_shape: tuple[int, ...], y_prime: jax.Array
    ) -> tuple[jax.Array, Mask]:
        """Reads a 0 before the end of a padded y′ as the id 1."""
        mask = None
        if space.padded:
            mask = length_mask(lengths(space, y_prime), space.length)
            y_prime = jnp.maximum(y_prime - 1, 0)
        return y_prime.reshape(-1, *latent_shape, *space.shape[1:]), mask

    def count_codes(self, codes: jax.Array, mask: jax.Array) -> jax.Array:
        """Counts the codes i32[B, *latent_shape] in the mask: i32[K]."""
        # Ids beyond the vocabulary, here of padding, are not counted.
        return codebook.code_counts(jnp.where(mask, codes, self.vocab), self.vocab)

    def summarize(
        self, metrics: dict[str, float], sums: dict[str, Any]
    ) -> dict[str, float]:
        return {**metrics, **codebook.summary(sums["code_counts"])}
