"""The options that all transforms of waves to frames share."""

import dataclasses

from regen_jax.ranges import Count
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """How waves are cut into frames.

    Attributes:
      sample_rate: Hz.
      n_fft: samples per window.
      hop: samples per frame.
    """

    sample_rate: Count = 16000
    n_fft: Count = 1024
    hop: Count = 256


def check_wave(space: Space, bounded: bool = False) -> None:
    """Raises a ValueError where a space is not that of waves [N] or [N, 1]."""
    if (
        not isinstance(space, Array)
        or space.shape not in (space.shape[:1], (space.shape[0], 1))
        or (bounded and not space.bounded)
    ):
        bounds = " with bounds" if bounded else ""
        raise ValueError(f"needs a wave, an Array of samples{bounds}, not {space}")
