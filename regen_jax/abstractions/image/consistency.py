"""Y′ of images that were generated, to compare with those asked for."""

import functools

import jax
import numpy as np

from regen_jax.interfaces import Abstraction, Variables
from regen_jax.spaces import to_dtype


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
