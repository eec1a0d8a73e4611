"""Vector quantization with an EMA codebook.

van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning"
(arXiv 1711.00937), appendix A.1 for the moving averages; revival of dead codes after
Dhariwal et al., "Jukebox" (arXiv 2005.00341), section 3.1; codes on a sphere after Yu et
al., "Vector-Quantized Image Modeling with Improved VQGAN" (arXiv 2110.04627), section 3.2.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
    Statistics,
    full_mask,
)
from regen_jax.abstractions.bottlenecks.quantizer import Quantizer
from regen_jax.loss_output import masked_mean
from regen_jax.ranges import Count, Natural, NonNegative, Rate


@dataclasses.dataclass(frozen=True)
class VectorQuantizer(Quantizer):
    """K codes in D dimensions; a latent takes the nearest.

    Attributes:
      num_codes: size K of the codebook.
      dim: channels D of a latent.
      decay: of the moving averages of counts and sums.
      commitment: weight of |z - sg(e)|², which pulls the encoder to its codes. The
        codebook itself follows the moving averages and gets no gradient.
      dead_code_threshold: a code whose average count is below this fraction of the mean
        count is dead and restarts at a latent of the batch.
      num_candidates: latents per example that dead codes may restart at; 0 for all of
        them, though no more than `num_codes`. Devices exchange them at each step.
      normalize: whether latents and codes are scaled to a norm of 1 before they are
        compared, so that the nearest code is that of the largest cosine. With a small
        `dim`, such as 8, large codebooks stay in use.
    """

    num_codes: Count = 128
    dim: Count = 16
    decay: Rate = 0.99
    commitment: NonNegative = 0.25
    dead_code_threshold: Rate = 0.1
    num_candidates: Natural = 0
    normalize: bool = False

    @property
    def vocab(self) -> int:
        return self.num_codes

    @property
    def latent_dim(self) -> int:
        return self.dim

    def init(self, rng: jax.Array, latents: jax.Array) -> State:
        latents = self._scaled(latents)
        order = _order(rng, latents, jnp.ones(latents.shape[0], bool))
        codes = latents[order[jnp.arange(self.num_codes) % latents.shape[0]]]
        counts = jnp.full(
            self.num_codes, latents.shape[0] / self.num_codes, jnp.float32
        )
        return {"codes": codes, "counts": counts, "sums": codes * counts[:, None]}

    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        z, e = self._scaled(latents), state["codes"]
        # |z|² is the same for every code, so the nearest is that of |e|² - 2 z·e.
        products = jnp.matmul(z, e.T, precision=jax.lax.Precision.HIGHEST)
        return jnp.argmin(jnp.sum(e * e, axis=-1) - 2 * products, axis=-1)

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        return state["codes"][codes]

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        mask = full_mask(latents) if mask is None else mask
        z = self._scaled(latents)
        codes = self.encode(state, jax.lax.stop_gradient(latents))
        values = self.decode(state, codes)
        error = (z - jax.lax.stop_gradient(values)) ** 2
        commitment = masked_mean(error.mean(axis=-1), mask)

        flat = jnp.where(mask[..., None], jax.lax.stop_gradient(z), 0)
        # Padding is assigned to no code.
        assigned = jax.nn.one_hot(
            jnp.where(mask, codes, -1).reshape(-1), self.num_codes
        )
        sums = jnp.matmul(
            assigned.T,
            flat.reshape(-1, self.dim),
            precision=jax.lax.Precision.HIGHEST,
        )
        return BottleneckOutput(
            codes=codes,
            values=z + jax.lax.stop_gradient(values - z),
            loss=self.commitment * commitment,
            sums={"code_counts": assigned.sum(axis=0), "code_sums": sums},
            per_example=self.revival_candidates(keys, z, mask),
        )

    def revival_candidates(
        self, keys: jax.Array, latents: jax.Array, mask: jax.Array
    ) -> Statistics:
        """Returns latents at which dead codes may restart.

        `candidates` are f32[B, n, D], and `candidate_mask` bool[B, n] is false for those
        in padding. Distinct latents of an example come before repeated ones.
        """
        mask = jnp.asarray(mask.reshape(mask.shape[0], -1))
        flat = jax.lax.stop_gradient(latents.reshape(*mask.shape, self.dim))
        flat = jnp.where(mask[..., None], flat, 0)
        number = min(self.num_candidates or self.num_codes, mask.shape[1])
        if number < mask.shape[1]:
            order = jax.vmap(_order)(keys, flat, mask)[:, :number]
            flat = jnp.take_along_axis(flat, order[..., None], axis=1)
            mask = jnp.take_along_axis(mask, order, axis=1)
        return {"candidates": flat, "candidate_mask": mask}

    def update(
        self, state: State, rng: jax.Array, sums: Statistics, per_example: Statistics
    ) -> State:
        decay = self.decay
        counts = decay * state["counts"] + (1 - decay) * sums["code_counts"]
        code_sums = decay * state["sums"] + (1 - decay) * sums["code_sums"]

        # A revived code restarts its running averages with it: a new vector over old
        # sums would be pulled back, and dead again, at the next step.
        mean = jnp.mean(counts)
        candidates = per_example["candidates"].reshape(-1, self.dim)
        valid = per_example["candidate_mask"].reshape(-1)
        dead = (counts < self.dead_code_threshold * mean) & jnp.any(valid)
        order = _order(rng, candidates, valid)
        place = (jnp.cumsum(dead) - 1) % jnp.maximum(valid.sum(), 1)
        restarts = candidates[order[place]]
        counts = jnp.where(dead, mean, counts)
        code_sums = jnp.where(dead[:, None], restarts * mean, code_sums)
        # Without revival a code may go unused until its averages are 0: it stays put.
        least = jnp.finfo(jnp.float32).tiny
        used = (counts > least)[:, None]
        codes = code_sums / jnp.maximum(counts, least)[:, None]
        codes = jnp.where(used, self._scaled(codes), state["codes"])
        return {"codes": codes, "counts": counts, "sums": code_sums}

    def _scaled(self, x: jax.Array) -> jax.Array:
        """Returns latents or codes [..., D] as they are compared, in float32."""
        x = x.astype(jnp.float32)
        if not self.normalize:
            return x
        square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
        # A gradient of the norm itself would be NaN at 0.
        return x * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


def _order(rng: jax.Array, latents: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns a random order i32[N] of latents f32[N, D]: distinct, repeated, masked."""
    order = jax.random.permutation(rng, latents.shape[0])
    rank = jnp.where(mask, _repeats(latents, mask), 2)
    return order[jnp.argsort(rank[order], stable=True)]


def _repeats(latents: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns i32[N]: 1 where a latent in `mask` equals an earlier one in it, else 0.

    Latents are compared by a hash of 32 bits: among 10,000 distinct ones, the probability
    that any is taken for a repeat is 1 / 86.
    """
    factors = np.random.default_rng(0).integers(2**32, size=latents.shape[1]) | 1
    bits = jax.lax.bitcast_convert_type(latents, jnp.uint32)
    bits = (bits ^ bits >> 16) * jnp.uint32(0x85EBCA6B)
    bits = (bits ^ bits >> 13) * factors.astype(np.uint32)
    key = bits.sum(axis=-1, dtype=jnp.uint32)
    order = jnp.lexsort((~mask, key))
    same = mask[order][1:] & (key[order][1:] == key[order][:-1])
    return jnp.zeros(len(order), jnp.int32).at[order[1:]].set(same.astype(jnp.int32))
