import numpy as np
import pytest
from PIL import Image

from regen_jax.abstractions.image.grayscale import Grayscale
from regen_jax.spaces import Array, Category, to_dtype
from tests.errors import value_error

SPACE = Array((5, 7, 3), 0.0, 255.0, step=1.0)


def images(number=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (number, *SPACE.shape)).astype(np.uint8)


def test_luma_is_that_of_pillow():
    """Pillow's mode L is the luma of BT.601, rounded."""
    y = images()
    gray = Grayscale(SPACE).encode({}, to_dtype(SPACE, y))
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in y]
    np.testing.assert_allclose(gray[..., 0], expected, atol=1)


def test_gray_image_keeps_its_values_and_bounds():
    gray = np.full((1, 4, 6, 2, 3), 0.25, np.float32)
    space = Array((4, 6, 2, 3), -1.0, 1.0, step=0.25)
    abstraction = Grayscale(space)
    np.testing.assert_allclose(abstraction.encode({}, gray), 0.25, rtol=1e-6)
    assert abstraction.output_space == Array((4, 6, 2, 1), -1.0, 1.0)
    assert not abstraction.invertible and not abstraction.lossless


def test_consistency_is_the_error_of_the_luma():
    y, abstraction = images(), Grayscale(SPACE)
    own = np.asarray(abstraction.encode({}, to_dtype(SPACE, y)))
    assert abstraction.consistency_metrics({}, y, own) == {"luma_mse": 0.0}
    metrics = abstraction.consistency_metrics({}, y, own + 51)
    assert metrics == {"luma_mse": pytest.approx(0.04, rel=1e-5)}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Category(3), "needs an Array of RGB images, not Category(3)"),
        (
            Array((8, 8, 3), padded=True),
            "needs an Array of constant length, not Array(8, 8, 3, padded)",
        ),
        (
            Array((28, 28, 1), 0, 255),
            "needs 3 channels, red, green and blue, not Array(28, 28, 1): such images are "
            "gray already, and 'downsample' or 'edges' fits them",
        ),
        (
            Array((8, 8, 4), 0, 255),
            "needs 3 channels, red, green and blue, not Array(8, 8, 4): 'downsample' or "
            "'edges' fits any number of channels",
        ),
    ],
)
def test_image_without_colors_raises_value_error(space, message):
    assert value_error(Grayscale, space) == message
