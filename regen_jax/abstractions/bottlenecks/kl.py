"""Gaussian latents, kept near a standard normal by their Kullback-Leibler divergence.

Kingma and Welling, "Auto-Encoding Variational Bayes" (arXiv 1312.6114), appendix B; with
the small weight of Rombach, Blattmann, Lorenz, Esser and Ommer, "High-Resolution Image
Synthesis with Latent Diffusion Models" (arXiv 2112.10752), appendix G.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.continuous import ContinuousBottleneck
from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
    full_mask,
)
from regen_jax.loss_output import masked_mean
from regen_jax.ranges import Count, NonNegative

_LOG_VARIANCE_RANGE = (-30.0, 20.0)
"""Log-variances are clipped to it, as in the latent diffusion models' own code."""


@dataclasses.dataclass(frozen=True)
class KL(ContinuousBottleneck):
    """A mean and a log-variance per channel; Y′ is the mean.

    In training the decoder gets a sample, by the reparameterization z = μ + σ ε, and in
    evaluation and afterwards the mean. Metric `kl` is the divergence in nats per latent,
    and `bits` its sum over the latents of an example, in bits: the rate at which the
    samples could be sent.

    Attributes:
      dim: channels of a value. The encoder has twice as many outputs.
      weight: of the divergence, in nats per latent, a mean over the latents of an example.
        Where a paper has sums over an image instead, its weight is to be multiplied by
        the number of latents over that of pixels' values, if the reconstruction loss is a
        mean.
    """

    dim: Count = 4
    weight: NonNegative = 1e-6

    @property
    def latent_dim(self) -> int:
        return 2 * self.dim

    def mean(self, latents: jax.Array) -> jax.Array:
        return latents[..., : self.dim].astype(jnp.float32)

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        mask = full_mask(latents) if mask is None else mask
        mean = self.mean(latents)
        log_variance = latents[..., self.dim :].astype(jnp.float32)
        log_variance = jnp.clip(log_variance, *_LOG_VARIANCE_RANGE)
        values = mean
        if train:
            noise = jax.vmap(lambda key: jax.random.normal(key, mean.shape[1:]))(keys)
            values = mean + jnp.exp(log_variance / 2) * noise
        divergence = masked_mean(kl_divergence(mean, log_variance), mask)
        return BottleneckOutput(
            codes=self.encode(state, latents),
            values=values,
            loss=self.weight * divergence,
            sums={},
            per_example={},
            metrics={
                "kl": divergence,
                "bits": divergence * mask.sum(axis=range(1, mask.ndim)) / math.log(2),
            },
        )


def kl_divergence(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Returns KL(N(mean, exp(log_variance)) | N(0, I)) in nats, f32[...] of [..., D]."""
    terms = jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance
    return terms.sum(axis=-1) / 2
