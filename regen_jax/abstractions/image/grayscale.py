"""Images without their colors: the decoder colorizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.image.consistency import encoded
from regen_jax.interfaces import Abstraction, Variables
from regen_jax.metrics.image import mse
from regen_jax.spaces import Array, check_constant_length

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, section 2.5.1)."""


@dataclasses.dataclass(frozen=True)
class Grayscale(Abstraction):
    """Weighs red, green and blue by the luma of BT.601, 0.299, 0.587 and 0.114.

    It has no inverse: a decoder must generate the colors.

    Attributes:
      input_space: an Array of RGB images [..., 3] of any size.
    """

    input_space: Array

    invertible = False

    def __post_init__(self):
        space = self.input_space
        check_constant_length(space)
        if not isinstance(space, Array) or len(space.shape) < 2:
            raise ValueError(f"needs an Array of RGB images, not {space}")
        if space.shape[-1] != len(LUMA):
            advice = (
                "such images are gray already, and 'downsample' or 'edges' fits them"
                if space.shape[-1] == 1
                else "'downsample' or 'edges' fits any number of channels"
            )
            raise ValueError(
                f"needs 3 channels, red, green and blue, not {space}: {advice}"
            )

    @property
    def output_space(self) -> Array:
        *grid, _ = self.input_space.shape
        return Array((*grid, 1), self.input_space.low, self.input_space.high)

    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        # Products of float32, which accelerators would round to bfloat16 otherwise.
        return jnp.sum(y * jnp.array(LUMA), axis=-1, keepdims=True)

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `luma_mse`, the mean squared error relative to the range squared."""
        error = mse(y_prime, reference, self.input_space.peak)
        return {"luma_mse": float(np.mean(error))}

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `luma_mse` of the luma of y [N, …]."""
        return self.code_metrics(encoded(self, variables, y), y_prime)
