"""Sections of a config that belong to no part: logs and cache."""

import dataclasses
from typing import Annotated, Literal

from annotated_types import Interval

from regen_jax.ranges import Checked, Count


@dataclasses.dataclass(frozen=True)
class LogOptions(Checked):
    """`config.log`.

    Attributes:
      every: steps between scalars.
    """

    every: Count = 50


@dataclasses.dataclass(frozen=True)
class CacheOptions(Checked):
    """`config.cache`: whether the Y′ of a frozen abstraction is stored.

    Attributes:
      y_prime: `none` encodes each batch of a later stage again.
      augmentations: versions of each example that are stored.
    """

    y_prime: Literal["none"] = "none"
    augmentations: Annotated[int, Interval(ge=1, le=1)] = 1
