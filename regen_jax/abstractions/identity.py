"""Y′ = Y: no abstraction, which makes the pipeline the direct X → Y baseline."""

import dataclasses

import jax

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.spaces import Space


@dataclasses.dataclass(frozen=True)
class Identity(Abstraction):
    """Leaves a value of any space as it is."""

    input_space: Space

    lossless = True

    @property
    def output_space(self) -> Space:
        return self.input_space

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        return y

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        return y_prime
