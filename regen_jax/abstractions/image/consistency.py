"""Y′ of images that were generated, to compare with those asked for."""

import functools

import jax
import numpy as np

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.metrics.image import mse
from regen_jax.spaces import Array, to_dtype


class ComparedBySquares(Abstraction):
    """An abstraction to Arrays whose metrics are mean squared errors.

    Attributes:
      input_space: whose range errors are relative to.
    """

    input_space: Array

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `mse`, relative to the range squared where there are bounds."""
        return {"mse": float(np.mean(mse(y_prime, reference, self.input_space.peak)))}

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `mse` of the y′ of y [N, …]."""
        return self.code_metrics(encoded(self, variables, y), y_prime)


def encoded(
    abstraction: Abstraction,
    variables: Variables,
    y: np.ndarray,
    batch_size: int = 256,
) -> np.ndarray:
    """Encodes y [N, *input_space.shape] of any dtype to y′ [N, *output_space.shape].

    Args:
      abstraction: that encodes.
      variables: of the abstraction.
      y: images, postprocessed.
      batch_size: images encoded at once.
    """
    batches = [
        _encode(abstraction, variables, to_dtype(abstraction.input_space, y[i : i + n]))
        for i, n in ((i, batch_size) for i in range(0, len(y), batch_size))
    ]
    return np.concatenate(jax.device_get(batches))


@functools.partial(jax.jit, static_argnums=0)
def _encode(abstraction: Abstraction, variables: Variables, y: jax.Array) -> jax.Array:
    return abstraction.encode(variables, y)
