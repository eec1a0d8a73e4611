"""Continuous latents as they are, standardized when training is over."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.continuous import ContinuousBottleneck
from regen_jax.abstractions.bottlenecks.interface import (
    BottleneckOutput,
    Mask,
    State,
)
from regen_jax.ranges import Count


@dataclasses.dataclass(frozen=True)
class Identity(ContinuousBottleneck):
    """Y′ is the latents themselves; there is no loss.

    Attributes:
      dim: channels of a latent.
    """

    dim: Count = 4

    @property
    def latent_dim(self) -> int:
        return self.dim

    def mean(self, latents: jax.Array) -> jax.Array:
        return latents.astype(jnp.float32)

    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        values = self.mean(latents)
        loss = jnp.zeros(values.shape[0])
        return BottleneckOutput(self.encode(state, latents), values, loss, {}, {})
