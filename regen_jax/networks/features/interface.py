"""What a feature network is: trained layers, by which a loss compares samples."""

import abc
from typing import ClassVar

import jax

from regen_jax.networks.sample_network import Params, SampleNetwork


class FeatureNetwork(SampleNetwork):
    """Layers of a network that was trained before, and stays as it is.

    Of the parameters of `init` only the shapes matter.
    """

    registry: ClassVar[str] = "regen_jax.networks.features"

    @abc.abstractmethod
    def features(self, params: Params, sample: jax.Array) -> list[jax.Array]:
        """Returns the output of each layer [B, ..., C] for samples [B, ...] in [-1, 1]."""
