"""Y′ = Y: no abstraction, which makes the pipeline the direct X → Y baseline."""

import dataclasses

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.spaces import Space, Value


@dataclasses.dataclass(frozen=True)
class Identity(Abstraction):
    """Returns values of any space unchanged.

    Attributes:
      input_space: the space of Y, and of Y′.
    """

    input_space: Space

    lossless = True

    @property
    def output_space(self) -> Space:
        return self.input_space

    def encode(self, variables: Variables, y: Value) -> Value:
        return y

    def decode(self, variables: Variables, y_prime: Value) -> Value:
        return y_prime
