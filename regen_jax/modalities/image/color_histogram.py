"""The colors of images without end, in bounded memory."""

import math

import numpy as np

MAX_BINS = 2**15
"""At most so many bins, which is 32 per channel of RGB."""


class ColorHistogram:
    """Counts the colors of images in bins, with the mean color of each bin.

    As Wu's quantizer ("Efficient statistical computations for optimal color
    quantization", Graphics Gems II, 1991) has 32 bins per channel of RGB. An 8-bit gray
    image has one bin per value.
    """

    def __init__(
        self, channels: int, low: float, high: float, levels: int | None = None
    ):
        """Starts without colors.

        Args:
          channels: of the images.
          low: least value.
          high: greatest value.
          levels: number of values per channel; None for any.
        """
        self.num_bins = bins_per_channel(channels, levels)
        self._low, self._high = low, high
        self._counts = np.zeros(self.num_bins**channels)
        self._sums = np.zeros((channels, self.num_bins**channels))

    def add(self, images: np.ndarray) -> None:
        """Adds the pixels of images [..., channels]."""
        pixels = np.asarray(images, np.float64).reshape(-1, len(self._sums))
        unit = (pixels - self._low) / (self._high - self._low)
        bins = np.clip((unit * self.num_bins).astype(int), 0, self.num_bins - 1)
        place = np.ravel_multi_index(tuple(bins.T), (self.num_bins,) * bins.shape[1])
        size = len(self._counts)
        self._counts += np.bincount(place, minlength=size)
        for total, values in zip(self._sums, pixels.T, strict=True):
            total += np.bincount(place, weights=values, minlength=size)

    @property
    def num_colors(self) -> int:
        """Number of bins that have pixels."""
        return int(np.count_nonzero(self._counts))

    def colors(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean color f64[N, channels] and the pixels f64[N] of such bins."""
        used = self._counts > 0
        return (self._sums[:, used] / self._counts[used]).T, self._counts[used]


def bins_per_channel(channels: int, levels: int | None = None) -> int:
    """Returns the bins of each channel; no more than it has values."""
    # The root of 2**15 may come out below the integer that it is.
    most = math.floor(MAX_BINS ** (1 / channels) + 1e-9)
    return most if levels is None else min(most, levels)
