"""Waves cut into frames: the direct baseline of a model of sequences."""

import dataclasses

import jax.numpy as jnp

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Padded, Value, length_mask


@dataclasses.dataclass(frozen=True)
class WaveFrames(Abstraction):
    """Folds `size` samples into the channels of one frame; lossless.

    A padded wave of n samples has ceil(n / size) frames, the last padded with zeros.

    Attributes:
      input_space: waves [N]; `size` divides N.
      size: samples per frame.
    """

    input_space: Array
    size: Count = 256

    lossless = True

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.input_space, Array) or len(self.input_space.shape) != 1:
            raise ValueError(
                f"needs a wave, an Array of samples, not {self.input_space}"
            )
        num_samples = self.input_space.shape[0]
        if num_samples % self.size:
            raise ValueError(
                f"size {self.size} does not divide the {num_samples} samples of a wave"
            )

    @property
    def output_space(self) -> Array:
        shape = (self.input_space.shape[0] // self.size, self.size)
        return dataclasses.replace(self.input_space, shape=shape)

    def encode(self, variables: Variables, y: Value) -> Value:
        if not isinstance(y, Padded):
            return y.reshape(-1, *self.output_space.shape)
        valid = length_mask(y.length, self.input_space.shape[0])
        values = jnp.where(valid, y.values, 0).reshape(-1, *self.output_space.shape)
        return Padded(values, -(-y.length // self.size))

    def decode(self, variables: Variables, y_prime: Value) -> Value:
        if not isinstance(y_prime, Padded):
            return y_prime.reshape(-1, *self.input_space.shape)
        values, num_frames = y_prime
        values = values.reshape(-1, *self.input_space.shape)
        return Padded(values, num_frames * self.size)
