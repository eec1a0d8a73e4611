"""Arrays that are computed once for a prepared data set and kept beside it."""

import contextlib
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regen_jax.files import write_atomically

logger = logging.getLogger("regen_jax")


def load_or_compute(
    path: Path,
    is_valid: Callable[[np.ndarray], bool],
    compute: Callable[[], np.ndarray],
) -> np.ndarray:
    """Loads an array from a file, or computes it and writes the file.

    Where the file cannot be written, a warning is logged and nothing is raised.

    Args:
      path: the `.npy` file; its folder is created, but not the folder above.
      is_valid: whether a loaded array is one that `compute` may have returned. An
        invalid, damaged or missing file is written again.
      compute: returns the array.
    """
    with contextlib.suppress(OSError, ValueError, EOFError):
        array = np.load(path)
        if is_valid(array):
            return array
    array = compute()
    content = io.BytesIO()
    np.save(content, array)
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content.getvalue())
    except OSError as error:
        logger.warning("%s is kept in memory only: %s", path.name, error)
    return array
