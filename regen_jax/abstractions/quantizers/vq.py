"""Vector quantization with an EMA codebook.

van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning"
(arXiv 1711.00937), appendix A.1 for the moving averages; revival of dead codes after
Dhariwal et al., "Jukebox" (arXiv 2005.00341), section 3.1.
"""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.abstractions.quantizers.interface import (
    Codebook,
    Quantized,
    Quantizer,
    everywhere,
)


@dataclasses.dataclass(frozen=True)
class VectorQuantizer(Quantizer):
    """K codes in D dimensions; a latent takes the nearest.

    Attributes:
      codes: number of codes K.
      dim: channels D of a latent.
      decay: of the moving averages of counts and sums.
      commitment: weight of |z - sg(e)|², which pulls the encoder to its codes. The
        codebook itself follows the moving averages and gets no gradient.
      revive_below: a code whose average count is below this share of the mean count is
        dead and restarts at a latent of the batch.
      candidates: latents an example offered for revival.
    """

    codes: int = 128
    dim: int = 16
    decay: float = 0.99
    commitment: float = 0.25
    revive_below: float = 0.1
    candidates: int = 4

    def __post_init__(self):
        for name in ("codes", "dim", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        for name in ("decay", "revive_below"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), not {getattr(self, name)}")
        if self.commitment < 0:
            raise ValueError(f"commitment must be 0 or more, not {self.commitment}")

    @property
    def vocab(self) -> int:
        return self.codes

    @property
    def latent_dim(self) -> int:
        return self.dim

    def init(self, rng: jax.Array, latents: jax.Array) -> Codebook:
        codes = _draw(rng, latents.astype(jnp.float32), self.codes)
        counts = jnp.full(self.codes, latents.shape[0] / self.codes, jnp.float32)
        return {"codes": codes, "counts": counts, "sums": codes * counts[:, None]}

    def encode(self, codebook: Codebook, latents: jax.Array) -> jax.Array:
        z, e = latents.astype(jnp.float32), codebook["codes"]
        # |z|² is the same for every code, so the nearest is that of |e|² - 2 z·e.
        products = jnp.matmul(z, e.T, precision=jax.lax.Precision.HIGHEST)
        return jnp.argmin(jnp.sum(e * e, axis=-1) - 2 * products, axis=-1)

    def decode(self, codebook: Codebook, codes: jax.Array) -> jax.Array:
        return codebook["codes"][codes]

    def quantize(
        self,
        codebook: Codebook,
        keys: jax.Array,
        latents: jax.Array,
        mask: jax.Array | None = None,
        train: bool = False,
    ) -> Quantized:
        mask = everywhere(latents) if mask is None else mask
        z = latents.astype(jnp.float32)
        codes = self.encode(codebook, jax.lax.stop_gradient(z))
        values = self.decode(codebook, codes)
        error = (z - jax.lax.stop_gradient(values)) ** 2
        inner = tuple(range(1, mask.ndim))
        number = jnp.maximum(mask.sum(axis=inner), 1)
        # Not a product with the mask, which what is infinite would survive.
        error = jnp.where(mask[..., None], error, 0).mean(axis=-1)
        commitment = error.sum(axis=inner) / number

        flat = jnp.where(mask[..., None], jax.lax.stop_gradient(z), 0)
        # No code at all where a position does not count.
        assigned = jax.nn.one_hot(jnp.where(mask, codes, -1).reshape(-1), self.codes)
        sums = jnp.matmul(
            assigned.T,
            flat.reshape(-1, self.dim),
            precision=jax.lax.Precision.HIGHEST,
        )
        return Quantized(
            codes=codes,
            values=z + jax.lax.stop_gradient(values - z),
            loss=self.commitment * commitment,
            totals={"code_counts": assigned.sum(axis=0), "code_sums": sums},
            examples={"candidates": self.offer(keys, z, mask)},
        )

    def offer(self, keys: jax.Array, latents: jax.Array, mask: jax.Array) -> jax.Array:
        """Candidates for revival, f32[B, candidates, D], of latents where `mask`.

        Each latent of an example [*grid, D] is drawn once while there are enough.
        """
        flat = jax.lax.stop_gradient(latents.reshape(mask.shape[0], -1, self.dim))
        number = min(self.candidates, flat.shape[1])

        def draw(key: jax.Array, latents: jax.Array, mask: jax.Array) -> jax.Array:
            order = jax.random.permutation(key, latents.shape[0])
            order = order[jnp.argsort(~mask[order], stable=True)]
            return latents[order[jnp.arange(number) % jnp.maximum(mask.sum(), 1)]]

        return jax.vmap(draw)(keys, flat, mask.reshape(mask.shape[0], -1))

    def update(
        self,
        codebook: Codebook,
        rng: jax.Array,
        totals: dict[str, jax.Array],
        examples: dict[str, jax.Array],
    ) -> Codebook:
        decay = self.decay
        counts = decay * codebook["counts"] + (1 - decay) * totals["code_counts"]
        sums = decay * codebook["sums"] + (1 - decay) * totals["code_sums"]

        # A revived code restarts its running averages with it: a new vector over old
        # sums would be pulled back, and dead again, at the next step.
        mean = jnp.mean(counts)
        dead = counts < self.revive_below * mean
        fresh = _draw(rng, examples["candidates"].reshape(-1, self.dim), self.codes)
        counts = jnp.where(dead, mean, counts)
        sums = jnp.where(dead[:, None], fresh * mean, sums)
        # Without revival a code may go unused until its averages are 0: it stays put.
        least = jnp.finfo(jnp.float32).tiny
        used = (counts > least)[:, None]
        codes = sums / jnp.maximum(counts, least)[:, None]
        codes = jnp.where(used, codes, codebook["codes"])
        return {"codes": codes, "counts": counts, "sums": sums}


def _draw(rng: jax.Array, latents: jax.Array, number: int) -> jax.Array:
    """`number` of the latents [N, D], each once while there are enough."""
    order = jax.random.permutation(rng, latents.shape[0])
    return latents[order[jnp.arange(number) % latents.shape[0]]]
