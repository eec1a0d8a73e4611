"""A bottleneck."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.interface import (
    Bottleneck,
    BottleneckOutput,
    State,
)
from regen_jax.ranges import Count
from regen_jax.spaces import Array


@dataclasses.dataclass(frozen=True)
class BoundedLatents(Bottleneck):
    """Latents through tanh, with a penalty on large ones."""

    dim: Count = 2

    collection = "bounded"

    @property
    def latent_dim(self) -> int:
        return self.dim

    def output_space(self, latent_shape: tuple[int, ...], padded: bool) -> Array:
        return Array((*latent_shape, self.dim), -1.0, 1.0)

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: None, train: bool
    ) -> BottleneckOutput:
        codes = self.encode(state, latents)
        penalty = 1e-3 * jnp.square(latents).mean(axis=(1, 2))
        return BottleneckOutput(codes, codes, penalty, {}, {})

    def encode(self, state: State, latents: jax.Array, mask: None = None) -> jax.Array:
        return jnp.tanh(latents)

    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        return codes

    def pack(self, space: Array, codes: jax.Array, mask: None) -> jax.Array:
        return codes

    def unpack(
        self, space: Array, latent_shape: tuple[int, ...], y_prime: jax.Array
    ) -> tuple[jax.Array, None]:
        return y_prime, None
