import numpy as np
import pytest

from regen_jax.modalities.image.color_histogram import ColorHistogram, bins_per_channel


def test_8_bit_grays_are_counted_each():
    gray = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 1)).astype(np.uint8)
    histogram = ColorHistogram(1, 0.0, 255.0, levels=256)
    histogram.add(gray[:1])
    histogram.add(gray[1:])
    values, counts = np.unique(gray, return_counts=True)
    colors, pixels = histogram.colors()
    assert histogram.num_colors == len(values)
    np.testing.assert_array_equal(colors[:, 0], values)
    np.testing.assert_array_equal(pixels, counts)


def test_bins_of_rgb_hold_the_mean_of_their_pixels():
    histogram = ColorHistogram(3, 0.0, 255.0, levels=256)
    pixels = np.array([[0, 0, 255], [6, 2, 255], [0, 0, 9], [255, 255, 255]])
    histogram.add(pixels.astype(np.uint8))
    colors, counts = histogram.colors()
    assert histogram.num_bins == 32
    np.testing.assert_allclose(colors, [[0, 0, 9], [3, 1, 255], [255] * 3])
    np.testing.assert_array_equal(counts, [1, 2, 1])


@pytest.mark.parametrize(
    ("channels", "levels", "bins"),
    [(1, None, 32768), (1, 256, 256), (2, 256, 181), (3, None, 32), (4, 8, 8)],
)
def test_bins_are_bounded_over_all_channels(channels, levels, bins):
    assert bins_per_channel(channels, levels) == bins
