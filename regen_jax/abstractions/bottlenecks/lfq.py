"""Lookup-free quantization: a code is the signs of a latent's channels.

Yu et al., "Language Model Beats Diffusion — Tokenizer is Key to Visual Generation"
(MAGVIT-v2, arXiv 2310.05737), section 3.1.
"""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Interval

from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
    full_mask,
)
from regen_jax.abstractions.bottlenecks.quantizer import Quantizer
from regen_jax.loss_output import global_mean, masked_mean
from regen_jax.ranges import NonNegative, Positive

Bits = Annotated[int, Interval(ge=1, le=20)]
"""Beyond, counts of codes take megabytes that devices exchange at each step."""
GroupBits = Annotated[int, Interval(ge=1, le=12)]


@dataclasses.dataclass(frozen=True)
class LookupFreeQuantizer(Quantizer):
    """K = 2^bits codes, without a codebook: bit i of a code is set where z_i > 0.

    The probability of a code c in {-1, 1}^bits given z is proportional to
    exp(-|z - c|² / temperature), so that bits are independent given z. The entropy loss
    (equation 5) is the mean entropy of codes given z, which sharpens each choice, minus
    the entropy of the mean of their probabilities, which keeps all codes in use. The mean
    is that of the global batch; of each micro-batch where there are several, and of each
    batch in evaluation.

    Attributes:
      bits: channels of a latent.
      commitment: weight of |z - sg(c)|², a mean over channels.
      entropy_weight: weight of the entropy loss, in nats.
      diversity: factor of the entropy of the mean in that loss.
      temperature: of the probabilities of codes.
      group_bits: bits whose codes' mean probabilities are computed together: memory is
        2^group_bits numbers per latent and group. The entropy of the mean is the sum over
        groups, at least that of all bits, and equal to it with one group.
    """

    bits: Bits = 10
    commitment: NonNegative = 0.25
    entropy_weight: NonNegative = 0.1
    diversity: NonNegative = 1.0
    temperature: Positive = 1.0
    group_bits: GroupBits = 10

    @property
    def vocab(self) -> int:
        return 2**self.bits

    @property
    def latent_dim(self) -> int:
        return self.bits

    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        digits = (latents > 0).astype(jnp.int32)
        return jnp.sum(digits << np.arange(self.bits), axis=-1, dtype=jnp.int32)

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        digits = codes[..., None] >> np.arange(self.bits) & 1
        return 2 * digits.astype(jnp.float32) - 1

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        mask = full_mask(latents) if mask is None else mask
        z = jnp.where(mask[..., None], latents.astype(jnp.float32), 0)
        codes = self.encode(state, z)
        signs = self.decode(state, codes)
        commitment = masked_mean(jnp.square(z - signs).mean(axis=-1), mask)
        # |z - 1|² and |z + 1|² differ by 4 z.
        logits = 4 * z / self.temperature
        entropy = masked_mean(_bit_entropy(logits).sum(axis=-1), mask)
        mean_entropy = self._mean_entropy(logits, mask) * jnp.ones_like(entropy)
        entropy_loss = entropy - self.diversity * mean_entropy
        return BottleneckOutput(
            codes=codes,
            values=z + jax.lax.stop_gradient(signs - z),
            loss=self.commitment * commitment + self.entropy_weight * entropy_loss,
            sums={"code_counts": self.count_codes(codes, mask)},
            per_example={},
            metrics={"code_entropy": entropy, "mean_code_entropy": mean_entropy},
        )

    def _mean_entropy(self, logits: jax.Array, mask: jax.Array) -> jax.Array:
        """Returns the entropy f32[] of the mean over the latents of the global batch."""
        flat, valid = logits.reshape(-1, self.bits), mask.reshape(-1, 1)
        starts = range(0, self.bits, self.group_bits)
        sums = [
            jnp.where(valid, _joint(flat[:, i : i + self.group_bits]), 0).sum(axis=0)
            for i in starts
        ]
        # Devices have as many examples each, but not as many latents in the mask.
        sums, number = global_mean((sums, valid.sum().astype(jnp.float32)))
        return sum(_entropy(total / jnp.maximum(number, 1e-6)) for total in sums)


def _bit_entropy(logits: jax.Array) -> jax.Array:
    """Returns the entropy in nats of bits that are 1 with probability σ(logits)."""
    p = jax.nn.sigmoid(logits)
    return p * jax.nn.softplus(-logits) + (1 - p) * jax.nn.softplus(logits)


def _joint(logits_NxG: jax.Array) -> jax.Array:
    """Returns f32[N, 2^G], the probability of each code of G independent bits."""
    size = logits_NxG.shape[1]
    bits = (np.arange(2**size) >> np.arange(size)[:, None] & 1).astype(np.float32)
    log_p = jnp.matmul(
        jax.nn.log_sigmoid(logits_NxG), bits, precision=jax.lax.Precision.HIGHEST
    ) + jnp.matmul(
        jax.nn.log_sigmoid(-logits_NxG), 1 - bits, precision=jax.lax.Precision.HIGHEST
    )
    return jnp.exp(log_p)


def _entropy(p: jax.Array) -> jax.Array:
    """Returns the entropy in nats of probabilities f32[K], with a finite gradient at 0."""
    return -jnp.sum(p * jnp.log(jnp.maximum(p, 1e-30)))
