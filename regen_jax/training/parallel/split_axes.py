"""Which axis of an array is split over devices, by the name of the array."""

import math
import re

from regen_jax.training.parallel.options import ParallelOptions

LAYERS = "layers"
"""Arrays below this name are stacked: their first axis counts layers of equal shape."""


def split_axis(
    options: ParallelOptions, name: str, shape: tuple[int, ...]
) -> int | None:
    """Returns the axis that `fsdp` devices split, or None for an array kept whole.

    It is the largest axis that the devices divide. The axis of stacked layers is never
    split: a layer is gathered right before it runs, from all devices.

    Args:
      options: rules and sizes.
      name: the path of the array in a state, such as `variables/params/layers/kernel`.
      shape: of the array.
    """
    tactic = next((t for p, t in options.rules if re.search(p, name)), "replicate")
    first = 1 if LAYERS in name.split("/")[:-1] else 0
    size = math.prod(shape[first:])
    if tactic == "replicate" or size < options.min_size:
        return None
    axes = range(first, len(shape))
    divided = [axis for axis in axes if shape[axis] % options.axes.fsdp == 0]
    return max(divided, key=lambda axis: shape[axis], default=None)
