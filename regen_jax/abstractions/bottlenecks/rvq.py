"""Residual vector quantization: each codebook quantizes what the last one left.

Zeghidour, Luebs, Omran, Skoglund and Tagliasacchi, "SoundStream: An End-to-End Neural
Audio Codec" (arXiv 2107.03312), section III-C.
"""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.interface import Codebook, Quantized, everywhere
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer

# What an example's key is folded with; levels take 0 and up.
_DROPOUT = 2**30


@dataclasses.dataclass(frozen=True)
class ResidualVectorQuantizer(VectorQuantizer):
    """`depth` vector quantizers, one after another; a value is the sum of their codes.

    The options of `VectorQuantizer` are those of each level, and each array of the
    codebook has one more axis in front, of the levels.

    Attributes:
      depth: number of levels.
      dropout: share of the examples that train with the first k levels alone, k uniform
        from 1 to `depth`, so that fewer codes give a coarser value and not a broken one.
    """

    depth: int = 4
    dropout: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        if self.depth < 2:
            raise ValueError(
                f"depth must be at least 2, not {self.depth}: quantizer 'vq' has 1"
            )
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout must be in [0, 1], not {self.dropout}")

    @property
    def _level(self) -> VectorQuantizer:
        options = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(VectorQuantizer)
        }
        return VectorQuantizer(**options)

    def init(self, rng: jax.Array, latents: jax.Array) -> Codebook:
        """Each level starts from what those before it leave of latents f32[N, D]."""

        def start(residual: jax.Array, rng: jax.Array) -> tuple[jax.Array, Codebook]:
            codebook = self._level.init(rng, residual)
            codes = self._level.encode(codebook, residual)
            return residual - self._level.decode(codebook, codes), codebook

        rngs = jax.random.split(rng, self.depth)
        return jax.lax.scan(start, latents.astype(jnp.float32), rngs)[1]

    def encode(
        self, codebook: Codebook, latents: jax.Array, mask: jax.Array | None = None
    ) -> jax.Array:
        def encode(
            residual: jax.Array, codebook: Codebook
        ) -> tuple[jax.Array, jax.Array]:
            codes = self._level.encode(codebook, residual)
            return residual - self._level.decode(codebook, codes), codes

        codes = jax.lax.scan(encode, latents.astype(jnp.float32), codebook)[1]
        return jnp.moveaxis(codes, 0, -1)

    def decode(self, codebook: Codebook, codes: jax.Array) -> jax.Array:
        """The sum of the codes' values; of the first levels, where `codes` has fewer."""
        levels = range(codes.shape[-1])
        return sum(codebook["codes"][i][codes[..., i]] for i in levels)

    def quantize(
        self,
        codebook: Codebook,
        keys: jax.Array,
        latents: jax.Array,
        mask: jax.Array | None = None,
        train: bool = False,
    ) -> Quantized:
        """As `VectorQuantizer`, level by level; `loss` is the sum over levels in use.

        Codes are those of all levels, whatever was dropped.
        """
        mask = everywhere(latents) if mask is None else mask
        z = latents.astype(jnp.float32)
        used = self._used(keys) if train else jnp.full(z.shape[0], self.depth)
        used = used.reshape(-1, *[1] * (mask.ndim - 1))

        def quantize(
            carry: tuple[jax.Array, jax.Array], level: tuple[jax.Array, Codebook]
        ):
            (residual, total), (i, codebook) = carry, level
            kept = i < used
            level_keys = _fold(keys, i)
            found = self._level.quantize(codebook, level_keys, residual, mask & kept)
            # A level that an example dropped may start codes anew at it all the same.
            candidates = self._level.offer(level_keys, residual, mask)
            values = jax.lax.stop_gradient(self._level.decode(codebook, found.codes))
            total += jnp.where(kept[..., None], values, 0)
            added = found.codes, found.loss, found.sums, candidates
            return (residual - values, total), added

        levels = (jnp.arange(self.depth), codebook)
        (_, total), found = jax.lax.scan(quantize, (z, jnp.zeros_like(z)), levels)
        codes, loss, totals, candidates = found
        return Quantized(
            codes=jnp.moveaxis(codes, 0, -1),
            values=z + jax.lax.stop_gradient(total - z),
            loss=loss.sum(axis=0),
            sums=totals,
            per_example={k: jnp.moveaxis(v, 0, 1) for k, v in candidates.items()},
        )

    def update(
        self,
        codebook: Codebook,
        rng: jax.Array,
        totals: dict[str, jax.Array],
        examples: dict[str, jax.Array],
    ) -> Codebook:
        rngs = jax.random.split(rng, self.depth)
        update = jax.vmap(self._level.update, in_axes=(0, 0, 0, 1))
        return update(codebook, rngs, totals, examples)

    def _used(self, keys: jax.Array) -> jax.Array:
        """i32[B]: how many levels each example trains with."""

        def draw(key: jax.Array) -> jax.Array:
            share_key, number_key = jax.random.split(key)
            number = jax.random.randint(number_key, (), 1, self.depth + 1)
            dropped = jax.random.uniform(share_key) < self.dropout
            return jnp.where(dropped, number, self.depth)

        return jax.vmap(draw)(_fold(keys, _DROPOUT))


def _fold(keys: jax.Array, number: int | jax.Array) -> jax.Array:
    """A stream of its own from each example's key."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)
