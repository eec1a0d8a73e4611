"""What networks that read samples of a space share, whoever trains them."""

import abc
from collections.abc import Mapping
from typing import Any

import jax

from regen_jax.ranges import Checked
from regen_jax.spaces import Space

Params = Mapping[str, Any]


class SampleNetwork(Checked, abc.ABC):
    """One network or several that read samples of a space.

    A subclass is a frozen dataclass of options.
    """

    @abc.abstractmethod
    def check(self, space: Space) -> None:
        """Raises a ValueError where the networks do not read samples of that space."""

    @abc.abstractmethod
    def init(self, rng: jax.Array, space: Space) -> Params:
        """Returns parameters at the start of training."""
