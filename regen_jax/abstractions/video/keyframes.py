"""Few frames of a clip, at a lower resolution."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from regen_jax.abstractions.image.consistency import ComparedBySquares
from regen_jax.interfaces import Variables
from regen_jax.ranges import Count
from regen_jax.spaces import Array, check_constant_length


@dataclasses.dataclass(frozen=True)
class Keyframes(ComparedBySquares):
    """Takes the middle frame of every `every`, averaged over blocks of `factor` pixels.

    The inverse interpolates linearly in time, repeats the first and the last key frame
    at the ends, and resizes bilinearly. A decoder, by regression or diffusion, can
    generate what that lacks.

    Attributes:
      input_space: an Array [T, H, W, C]; `every` divides T, and `factor` H and W.
      every: frames per key frame.
      factor: ratio of the resolutions.
    """

    input_space: Array
    every: Annotated[int, Ge(1)] = 4
    factor: Count = 2

    def __post_init__(self):
        super().__post_init__()
        check_constant_length(self.input_space)
        if not isinstance(self.input_space, Array) or len(self.input_space.shape) != 4:
            raise ValueError(
                f"needs an Array of clips [T, H, W, C], not {self.input_space}"
            )
        time, *grid, _ = self.input_space.shape
        if time % self.every:
            raise ValueError(f"every {self.every} does not divide the {time} frames")
        if any(n % self.factor for n in grid):
            raise ValueError(f"factor {self.factor} does not divide the grid {grid}")

    @property
    def output_space(self) -> Array:
        time, height, width, channels = self.input_space.shape
        grid = height // self.factor, width // self.factor
        shape = (time // self.every, *grid, channels)
        return Array(shape, self.input_space.low, self.input_space.high)

    @property
    def times(self) -> np.ndarray:
        """The frame that each key frame is, i64[T / every]."""
        return np.arange(self.output_space.shape[0]) * self.every + self.every // 2

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        time, height, width, channels = self.output_space.shape
        blocks = (height, self.factor, width, self.factor)
        y = y[:, self.times].reshape(y.shape[0], time, *blocks, channels)
        return y.mean(axis=(3, 5))

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        time, *rest = self.input_space.shape
        identity = np.eye(len(self.times), dtype=np.float32)
        weights = [np.interp(np.arange(time), self.times, row) for row in identity]
        # In float32, which accelerators would round to bfloat16 otherwise.
        frames = jnp.einsum(
            "kt,bkhwc->bthwc", np.float32(weights), y_prime, precision="highest"
        )
        return jax.image.resize(frames, (len(y_prime), time, *rest), "linear")
