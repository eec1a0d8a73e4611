"""A power of the progress, such as a line."""

import dataclasses

import jax

from regen_jax.generators.masked.interfaces import MaskSchedule
from regen_jax.ranges import Positive


@dataclasses.dataclass(frozen=True)
class Power(MaskSchedule):
    """Masks 1 - progress^exponent of the tokens.

    Attributes:
      exponent: 1 reveals as many tokens at each call; 2 and 3 are the square and the cubic
        schedule of Chang et al., arXiv 2202.04200, section 4.4; 0.5 reveals many at first.
    """

    exponent: Positive = 1.0

    def masked_fraction(self, progress: jax.Array) -> jax.Array:
        return 1 - progress**self.exponent
