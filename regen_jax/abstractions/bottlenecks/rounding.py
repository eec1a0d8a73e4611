"""Continuous latents in a bounded range, rounded to levels: a rate that is known."""

import dataclasses
from collections.abc import Iterable
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Interval

from regen_jax.abstractions.bottlenecks.continuous import ContinuousBottleneck
from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
)
from regen_jax.ranges import Count
from regen_jax.spaces import Array


@dataclasses.dataclass(frozen=True)
class Rounding(ContinuousBottleneck):
    """Squashes each channel to [-1, 1] and rounds it to evenly spaced levels.

    As finite scalar quantization (Mentzer et al., arXiv 2309.15505), with the gradient
    straight through, but Y′ stays an Array, for priors of arrays; values of a prior are
    rounded when they are decoded. A latent holds dim · log2(levels) bits.

    Attributes:
      dim: channels of a latent.
      levels: values of each channel.
    """

    dim: Count = 8
    levels: Annotated[int, Interval(ge=2, le=65536)] = 32

    collection = "rounding"

    @property
    def latent_dim(self) -> int:
        return self.dim

    def output_space(self, latent_shape: tuple[int, ...], padded: bool) -> Array:
        step = 2 / (self.levels - 1)
        return Array((*latent_shape, self.dim), -1.0, 1.0, padded=padded, step=step)

    def mean(self, latents: jax.Array) -> jax.Array:
        return self._round(jnp.tanh(latents.astype(jnp.float32)))

    def init(self, rng: jax.Array, latents: jax.Array) -> State:
        return {}

    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        return self.mean(latents)

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        return self._round(jnp.clip(codes, -1, 1))

    def code_scale(self, codes: jax.Array, mask: Mask) -> float:
        return 1.0

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        bounded = jnp.tanh(latents.astype(jnp.float32))
        codes = self._round(bounded)
        values = bounded + jax.lax.stop_gradient(codes - bounded)
        return BottleneckOutput(codes, values, jnp.zeros(len(codes)), {}, {})

    def finalize(
        self, state: State, latents: Iterable[tuple[jax.Array, Mask]]
    ) -> State:
        return state

    def _round(self, values: jax.Array) -> jax.Array:
        steps = (self.levels - 1) / 2
        return jnp.round((values + 1) * steps) / steps - 1
