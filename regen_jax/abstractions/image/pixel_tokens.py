"""Values of an array as tokens in raster order: the direct baseline of token models."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Ge

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.spaces import Array, Tokens, check_constant_length


@dataclasses.dataclass(frozen=True)
class PixelTokens(Abstraction):
    """Rounds each value of a bounded array to one of `levels` evenly spaced values.

    With 256 levels it is lossless for 8-bit images, and a likelihood of tokens is one of
    the image.

    Attributes:
      input_space: a bounded Array of any shape.
      levels: number of values; the first is the lower bound, the last the upper one.
    """

    input_space: Array
    levels: Annotated[int, Ge(2)] = 256

    def __post_init__(self):
        super().__post_init__()
        check_constant_length(self.input_space)
        if not isinstance(self.input_space, Array) or not self.input_space.bounded:
            raise ValueError(f"needs an Array with bounds, not {self.input_space}")

    @property
    def lossless(self) -> bool:
        space = self.input_space
        steps = space.step and (space.high - space.low) / space.step
        return bool(steps) and (self.levels - 1) % steps == 0

    @property
    def output_space(self) -> Tokens:
        shape = self.input_space.shape
        return Tokens(self.input_space.size, self.levels, grid=shape)

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        space = self.input_space
        unit = (y.reshape(y.shape[0], -1) - space.low) / (space.high - space.low)
        return jnp.round(unit * (self.levels - 1)).astype(jnp.int32)

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        # The step is exact for 8-bit images, so that decoding restores every bit.
        step = (self.input_space.high - self.input_space.low) / (self.levels - 1)
        y = y_prime.astype(jnp.float32) * step + self.input_space.low
        return y.reshape(y_prime.shape[0], *self.input_space.shape)
