"""Layers of the classifier that judges images, as the features of a perceptual loss."""

import dataclasses

import jax

from regen_jax.networks.conv.convnet import ConvMaps
from regen_jax.networks.features.interface import FeatureNetwork
from regen_jax.networks.sample_network import Params
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import Array, Space, zeros


@dataclasses.dataclass(frozen=True)
class ConvNetFeatures(FeatureNetwork):
    """Layers of a `ConvNet`, whose head is not read; the defaults are the judge's sizes.

    Attributes:
      width: channels of most layers.
      num_blocks: residual blocks at the lowest resolution.
    """

    width: Count = 48
    num_blocks: Natural = 1

    def check(self, space: Space) -> None:
        image = isinstance(space, Array) and len(space.shape) == 3 and space.bounded
        if not image or space.padded:
            raise ValueError(
                "feature network 'convnet' reads images, an Array of height, width and "
                f"channels with bounds, not {space}"
            )

    def init(self, rng: jax.Array, space: Space) -> Params:
        return self._network.init(rng, zeros(space, 1))["params"]

    def features(self, params: Params, sample: jax.Array) -> list[jax.Array]:
        return self._network.apply({"params": params}, sample)

    @property
    def _network(self) -> ConvMaps:
        return ConvMaps(self.width, self.num_blocks)
