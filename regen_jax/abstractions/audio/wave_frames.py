"""A wave cut into frames: the direct baseline of a model of sequences."""

import dataclasses

import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.interfaces import Abstraction, Variables
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Value


@dataclasses.dataclass(frozen=True)
class Frames(Abstraction):
    """Folds `size` samples into the channels of one frame; nothing is lost.

    A padded wave of n samples has ceil(n / size) frames, the last filled up with 0.

    Attributes:
      y: the space of waves [N]; `size` divides N.
      size: samples in a frame.
    """

    input_space: Array
    size: Count = 256

    lossless = True

    def __post_init__(self):
        ranges.check(self)
        if not isinstance(self.input_space, Array) or len(self.input_space.shape) != 1:
            raise ValueError(
                f"needs a wave, an Array of samples, not {self.input_space}"
            )
        if self.input_space.shape[0] % self.size:
            raise ValueError(
                f"size {self.size} does not divide the {self.input_space.shape[0]} samples of a "
                "wave"
            )

    @property
    def output_space(self) -> Array:
        shape = (self.input_space.shape[0] // self.size, self.size)
        return dataclasses.replace(self.input_space, shape=shape)

    def encode(self, variables: Variables, y: Value) -> Value:
        if not self.input_space.padded:
            return y.reshape(-1, *self.output_space.shape)
        inside = jnp.arange(self.input_space.shape[0]) < y.length[:, None]
        values = jnp.where(inside, y.values, 0).reshape(-1, *self.output_space.shape)
        return Padded(values, -(-y.length // self.size))

    def decode(self, variables: Variables, y_prime: Value) -> Value:
        if not self.input_space.padded:
            return y_prime.reshape(-1, *self.input_space.shape)
        values, frames = y_prime
        return Padded(values.reshape(-1, *self.input_space.shape), frames * self.size)
