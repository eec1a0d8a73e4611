"""A generator."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from regen_jax.interfaces import Generator, Key, LossOutput, Variables
from regen_jax.spaces import Array, Value


@dataclasses.dataclass(frozen=True)
class Affine(Generator):
    """The target as a linear map of the source, and noise of a `scale` around it."""

    source_space: Array
    target_space: Array
    scale: float = 0.0

    sources = (Array,)
    targets = (Array,)

    def init(self, rng: jax.Array) -> Variables:
        sizes = self.source_space.size, self.target_space.size
        return {
            "params": {"kernel": jax.random.normal(rng, sizes) / math.sqrt(sizes[0])}
        }

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        return LossOutput(
            jnp.square(self._mean(variables, source) - target).mean(axis=(1, 2))
        )

    def sample(self, variables: Variables, keys: Key, source: Value) -> jax.Array:
        draw = jax.vmap(lambda key: jax.random.normal(key, self.target_space.shape))
        return self._mean(variables, source) + self.scale * draw(keys)

    def _mean(self, variables: Variables, source: jax.Array) -> jax.Array:
        flat = source.reshape(len(source), -1) @ variables["params"]["kernel"]
        return flat.reshape(len(source), *self.target_space.shape)
