"""Residual vector quantization: each codebook quantizes the residual of the last.

Zeghidour, Luebs, Omran, Skoglund and Tagliasacchi, "SoundStream: An End-to-End Neural
Audio Codec" (arXiv 2107.03312), section III-C.
"""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Ge

from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
    Statistics,
    full_mask,
)
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.random import fold_keys
from regen_jax.ranges import Fraction

# Number of the stream of an example's key; levels take 0 and up.
_DROPOUT = 2**30


@dataclasses.dataclass(frozen=True)
class ResidualVectorQuantizer(VectorQuantizer):
    """`depth` vector quantizers in a row; a value is the sum of their codes' vectors.

    The options of `VectorQuantizer` are those of each level, and each array of the
    codebook has a leading axis of levels.

    Attributes:
      depth: number of levels.
      dropout: fraction of the examples that train with the first k levels alone, k
        uniform from 1 to `depth`, so that fewer codes give a coarser value and not a
        broken one.
    """

    depth: Annotated[int, Ge(2)] = 4
    dropout: Fraction = 0.5

    def __post_init__(self):
        super().__post_init__()
        if self.normalize:
            raise ValueError(
                "normalize must be False: residuals need codes of any norm"
            )

    @property
    def _level(self) -> VectorQuantizer:
        options = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(VectorQuantizer)
        }
        return VectorQuantizer(**options)

    def init(self, rng: jax.Array, latents: jax.Array) -> State:
        """Starts each level from the residuals of latents f32[N, D] that it meets."""

        def start(residual: jax.Array, rng: jax.Array) -> tuple[jax.Array, State]:
            codebook = self._level.init(rng, residual)
            codes = self._level.encode(codebook, residual)
            return residual - self._level.decode(codebook, codes), codebook

        rngs = jax.random.split(rng, self.depth)
        return jax.lax.scan(start, latents.astype(jnp.float32), rngs)[1]

    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        def encode(residual: jax.Array, state: State) -> tuple[jax.Array, jax.Array]:
            codes = self._level.encode(state, residual)
            return residual - self._level.decode(state, codes), codes

        codes = jax.lax.scan(encode, latents.astype(jnp.float32), state)[1]
        return jnp.moveaxis(codes, 0, -1)

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        """Returns the sum of the codes' values; `codes` may lack the last levels."""
        levels = range(codes.shape[-1])
        return sum(state["codes"][i][codes[..., i]] for i in levels)

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        """As `VectorQuantizer`, level by level; `loss` is the sum over levels in use.

        Codes are those of all levels, whatever was dropped.
        """
        mask = full_mask(latents) if mask is None else mask
        z = latents.astype(jnp.float32)
        depth = self._train_depth(keys) if train else jnp.full(z.shape[0], self.depth)
        depth = depth.reshape(-1, *[1] * (mask.ndim - 1))

        def quantize(
            carry: tuple[jax.Array, jax.Array], level: tuple[jax.Array, State]
        ):
            (residual, total), (i, state) = carry, level
            in_use = i < depth
            level_keys = fold_keys(keys, i)
            output = self._level.apply(
                state, level_keys, residual, mask & in_use, train
            )
            # Dead codes of a level may restart at examples that dropped it all the same.
            candidates = self._level.revival_candidates(level_keys, residual, mask)
            values = jax.lax.stop_gradient(self._level.decode(state, output.codes))
            total += jnp.where(in_use[..., None], values, 0)
            outputs = output.codes, output.loss, output.sums, candidates
            return (residual - values, total), outputs

        levels = (jnp.arange(self.depth), state)
        (_, total), outputs = jax.lax.scan(quantize, (z, jnp.zeros_like(z)), levels)
        codes, loss, sums, candidates = outputs
        return BottleneckOutput(
            codes=jnp.moveaxis(codes, 0, -1),
            values=z + jax.lax.stop_gradient(total - z),
            loss=loss.sum(axis=0),
            sums=sums,
            per_example={k: jnp.moveaxis(v, 0, 1) for k, v in candidates.items()},
        )

    def update(
        self, state: State, rng: jax.Array, sums: Statistics, per_example: Statistics
    ) -> State:
        rngs = jax.random.split(rng, self.depth)
        update = jax.vmap(self._level.update, in_axes=(0, 0, 0, 1))
        return update(state, rngs, sums, per_example)

    def _train_depth(self, keys: jax.Array) -> jax.Array:
        """Draws the number of levels that each example trains with, i32[B]."""

        def draw(key: jax.Array) -> jax.Array:
            dropout_key, depth_key = jax.random.split(key)
            depth = jax.random.randint(depth_key, (), 1, self.depth + 1)
            dropped = jax.random.uniform(dropout_key) < self.dropout
            return jnp.where(dropped, depth, self.depth)

        return jax.vmap(draw)(fold_keys(keys, _DROPOUT))
