"""An abstraction."""

import dataclasses

import jax

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.spaces import Array, Category


@dataclasses.dataclass(frozen=True)
class OneHot(Abstraction):
    """A class as a vector with a one."""

    input_space: Category

    invertible = False

    def __post_init__(self):
        if not isinstance(self.input_space, Category):
            raise ValueError(f"one_hot needs a Category, not {self.input_space}")

    @property
    def output_space(self) -> Array:
        return Array((self.input_space.size, 1), 0.0, 1.0)

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        return jax.nn.one_hot(y, self.input_space.size)[..., None]
