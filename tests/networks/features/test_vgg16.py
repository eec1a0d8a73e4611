"""VGG-16 by its published sizes; its arithmetic is that of Flax."""

import jax
import numpy as np
import pytest

from regen_jax.networks.features.vgg16 import VGG16
from regen_jax.spaces import Array

SPACE = Array((32, 32, 1), 0.0, 255.0)


def test_parameters_and_maps_have_the_published_shapes():
    network = VGG16()
    params = jax.eval_shape(lambda key: network.init(key, SPACE), jax.random.key(0))
    # Of configuration D, without the dense layers.
    assert sum(np.prod(x.shape) for x in jax.tree.leaves(params)) == 14_714_688
    image = jax.ShapeDtypeStruct((2, *SPACE.shape), np.float32)
    maps = jax.eval_shape(network.features, params, image)
    widths, sizes = (64, 128, 256, 512, 512), (32, 16, 8, 4, 2)
    expected = [(2, n, n, c) for n, c in zip(sizes, widths, strict=True)]
    assert [x.shape for x in maps] == expected


@pytest.mark.parametrize(
    ("shape", "padded"),
    [((8, 8, 3), False), ((32, 32, 2), False), ((32, 32), False), ((32, 32, 3), True)],
)
def test_space_that_does_not_fit_raises_value_error(shape, padded):
    with pytest.raises(ValueError, match="'vgg16' reads images of 16 x 16 pixels"):
        VGG16().check(Array(shape, 0.0, 1.0, padded))
