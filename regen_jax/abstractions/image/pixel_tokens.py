"""Values as tokens in raster order: the direct baseline of a token model."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Ge

from regen_jax import ranges
from regen_jax.interfaces import Abstraction, Variables
from regen_jax.spaces import Array, Tokens


@dataclasses.dataclass(frozen=True)
class Pixels(Abstraction):
    """Rounds each value of a bounded array to one of `levels` evenly spaced ones.

    With 256 levels an 8-bit image comes back unchanged, and a likelihood of its tokens
    is one of the image.
    """

    input_space: Array
    levels: Annotated[int, Ge(2)] = 256

    def __post_init__(self):
        ranges.check(self)
        if not isinstance(self.input_space, Array) or not self.input_space.bounded:
            raise ValueError(f"needs an Array with bounds, not {self.input_space}")

    @property
    def lossless(self) -> bool:
        steps = (
            self.input_space.step
            and (self.input_space.high - self.input_space.low) / self.input_space.step
        )
        return bool(steps) and (self.levels - 1) % steps == 0

    @property
    def output_space(self) -> Tokens:
        return Tokens(self.input_space.size, self.levels)

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        unit = (y.reshape(y.shape[0], -1) - self.input_space.low) / (
            self.input_space.high - self.input_space.low
        )
        return jnp.round(unit * (self.levels - 1)).astype(jnp.int32)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        # The step is exact for 8-bit images, so that they come back to the last bit.
        step = (self.input_space.high - self.input_space.low) / (self.levels - 1)
        y = y_prime.astype(jnp.float32) * step + self.input_space.low
        return y.reshape(y_prime.shape[0], *self.input_space.shape)
