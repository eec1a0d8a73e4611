"""The same array at a lower resolution."""

import dataclasses

import jax

from regen_jax.abstractions.image.consistency import ComparedBySquares
from regen_jax.interfaces import Variables
from regen_jax.ranges import Count
from regen_jax.spaces import Array, check_constant_length


@dataclasses.dataclass(frozen=True)
class Downsample(ComparedBySquares):
    """Averages blocks of `factor` along every axis but the channel.

    It has no inverse: a decoder must generate the detail that is lost.

    Attributes:
      input_space: an Array of one axis or more, and channels; `factor` divides each axis.
      factor: ratio of the resolutions.
    """

    input_space: Array
    factor: Count = 4

    invertible = False

    def __post_init__(self):
        super().__post_init__()
        check_constant_length(self.input_space)
        if not isinstance(self.input_space, Array) or len(self.input_space.shape) < 2:
            raise ValueError(
                f"needs an Array with a grid and channels, not {self.input_space}"
            )
        grid = self.input_space.shape[:-1]
        if any(n % self.factor for n in grid):
            raise ValueError(f"factor {self.factor} does not divide the grid {grid}")

    @property
    def output_space(self) -> Array:
        *grid, channels = self.input_space.shape
        shape = (*(n // self.factor for n in grid), channels)
        return Array(shape, self.input_space.low, self.input_space.high)

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        *grid, channels = self.output_space.shape
        blocks = [size for n in grid for size in (n, self.factor)]
        y = y.reshape(y.shape[0], *blocks, channels)
        return y.mean(axis=tuple(range(2, 2 + 2 * len(grid), 2)))
