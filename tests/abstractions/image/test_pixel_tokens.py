import numpy as np
import pytest

from regen_jax.abstractions.image.pixel_tokens import PixelTokens
from regen_jax.spaces import Array, Category, Tokens, to_dtype
from tests.errors import value_error

IMAGES = Array((2, 3, 2), 0.0, 255.0, step=1.0)


def test_256_levels_are_lossless_for_8_bits():
    space = Array((16, 16, 1), 0.0, 255.0, step=1.0)
    image = np.arange(256, dtype=np.uint8).reshape(1, *space.shape)
    pixels = PixelTokens(space)
    tokens = pixels.encode({}, to_dtype(space, image))
    assert tokens.dtype == np.int32
    np.testing.assert_array_equal(tokens, image.reshape(1, -1))
    np.testing.assert_array_equal(pixels.decode({}, tokens), image)


@pytest.mark.parametrize("levels", [2, 3, 16, 18, 255])
def test_values_round_to_the_nearest_level(levels):
    pixels = PixelTokens(IMAGES, levels)
    image = np.random.default_rng(0).integers(0, 256, (5, *IMAGES.shape))
    tokens = np.asarray(pixels.encode({}, to_dtype(IMAGES, image)))
    values = np.linspace(0, 255, levels)
    np.testing.assert_allclose(
        pixels.decode({}, tokens), values[tokens].reshape(image.shape), rtol=1e-6
    )
    nearest = np.abs(values[:, None] - image.reshape(1, -1)).min(axis=0)
    reached = np.abs(values[tokens].ravel() - image.ravel())
    np.testing.assert_allclose(reached, nearest, atol=1e-4)


def test_encode_inverts_decode():
    space = Array((17,), -1.0, 0.5)
    pixels = PixelTokens(space, 17)
    tokens = np.arange(17, dtype=np.int32)[None]
    np.testing.assert_array_equal(pixels.encode({}, pixels.decode({}, tokens)), tokens)


def test_order_of_tokens_is_raster_with_the_channel_last():
    image = np.arange(12).reshape(1, *IMAGES.shape)
    tokens = PixelTokens(IMAGES).encode({}, to_dtype(IMAGES, image))
    space = Tokens(12, 256, grid=IMAGES.shape)
    assert PixelTokens(IMAGES).output_space == space
    np.testing.assert_array_equal(tokens[0], np.arange(12))


@pytest.mark.parametrize(
    ("space", "levels", "lossless"),
    [
        (IMAGES, 256, True),
        (IMAGES, 511, True),
        (IMAGES, 255, False),
        (IMAGES, 16, False),
        (Array((4,), 0.0, 6.0, step=2.0), 4, True),
        (Array((4,), 0.0, 6.0, step=2.0), 7, True),
        (Array((4,), 0.0, 6.0, step=2.0), 3, False),
        (Array((4,), 0.0, 255.0), 256, False),
    ],
)
def test_lossless_is_whether_every_value_has_a_level(space, levels, lossless):
    pixels = PixelTokens(space, levels)
    assert pixels.lossless is lossless
    if space.step:
        values = np.arange(space.low, space.high + 1, space.step, np.float32)
        values = np.resize(values, (-(-values.size // space.size), *space.shape))
        back = pixels.decode({}, pixels.encode({}, values))
        assert np.array_equal(back, values) is lossless


@pytest.mark.parametrize(
    ("space", "levels", "message"),
    [
        (Category(3), 256, "needs an Array with bounds, not Category(3)"),
        (Array((4,)), 256, "needs an Array with bounds, not Array(4)"),
        (
            Array((4,), 0, 1, padded=True),
            256,
            "needs an Array of constant length, not Array(4, padded)",
        ),
        (IMAGES, 1, "levels must be at least 2, not 1"),
    ],
)
def test_invalid_option_raises_value_error(space, levels, message):
    assert value_error(PixelTokens, space, levels) == message
