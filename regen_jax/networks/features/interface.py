"""What a feature network is: trained layers, by which a loss compares samples."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import jax

from regen_jax.ranges import Checked
from regen_jax.spaces import Space

Params = Mapping[str, Any]


class FeatureNetwork(Checked, abc.ABC):
    """Layers of a network that was trained before, and stays as it is.

    A subclass is a frozen dataclass of options.
    """

    registry: ClassVar[str] = "regen_jax.networks.features"

    @abc.abstractmethod
    def check(self, space: Space) -> None:
        """Raises a ValueError where the network does not read samples of that space."""

    @abc.abstractmethod
    def init(self, rng: jax.Array, space: Space) -> Params:
        """Returns parameters of the shapes that trained ones have."""

    @abc.abstractmethod
    def features(self, params: Params, sample: jax.Array) -> list[jax.Array]:
        """Returns the output of each layer [B, ..., C] for samples [B, ...] in [-1, 1]."""
