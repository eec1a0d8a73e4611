"""Layers of VGG-16, the usual features of perceptual losses of photographs.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition" (arXiv 1409.1556), table 1, configuration D. Layers and scale as in LPIPS
(Zhang et al., arXiv 1801.03924).
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.networks.features.interface import FeatureNetwork
from regen_jax.networks.layers import Conv
from regen_jax.networks.sample_network import Params
from regen_jax.spaces import Array, Space, zeros

_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each block; pooling halves the resolution between."""
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)
"""Of channels in [-1, 1], to the moments of ImageNet."""


@dataclasses.dataclass(frozen=True)
class VGG16(FeatureNetwork):
    """The last layer of each of five blocks, for images of 16 x 16 pixels or more.

    Parameters are `conv1_1/kernel` [3, 3, 3, 64] and so on up to `conv5_3/bias`. Gray
    images are read as three equal channels.
    """

    def check(self, space: Space) -> None:
        image = isinstance(space, Array) and len(space.shape) == 3 and space.bounded
        image = image and not space.padded
        if not image or space.shape[2] not in (1, 3) or min(space.shape[:2]) < 16:
            raise ValueError(
                "feature network 'vgg16' reads images of 16 x 16 pixels or more with 1 "
                f"or 3 channels and bounds, not {space}"
            )

    def init(self, rng: jax.Array, space: Space) -> Params:
        return _Layers().init(rng, zeros(space, 1))["params"]

    def features(self, params: Params, sample: jax.Array) -> list[jax.Array]:
        return _Layers().apply({"params": params}, sample)


class _Layers(nn.Module):
    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        x = jnp.broadcast_to(images, (*images.shape[:-1], 3))
        x = (x - _SHIFT) / _SCALE
        maps = []
        for block, (width, number) in enumerate(_BLOCKS, 1):
            if block > 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
            for layer in range(1, number + 1):
                conv = Conv(width, (3, 3), padding=1, name=f"conv{block}_{layer}")
                x = nn.relu(conv(x))
            maps.append(x)
        return maps
