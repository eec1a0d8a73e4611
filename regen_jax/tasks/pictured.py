"""What tasks share whose Y is an image."""

import dataclasses

import numpy as np

from regen_jax.data.tfds.splits import SetOptions
from regen_jax.interfaces import Task
from regen_jax.media.image_grid import image_grid
from regen_jax.media.media import Media
from regen_jax.metrics.image import mse, psnr
from regen_jax.spaces import Array

_SHOWN_PIXELS = 56
"""Height of a small image where it is shown."""


@dataclasses.dataclass(frozen=True)
class ImageTask(SetOptions, Task):
    """Y is an 8-bit image [H, W, C]."""

    def image_space(self, shape: tuple[int, ...]) -> Array:
        """Returns the space of images of a shape [H, W, C]."""
        return Array(shape, 0.0, 255.0, step=1.0)

    @property
    def shown_scale(self) -> int:
        """The factor by which images are enlarged to be shown."""
        return max(1, round(_SHOWN_PIXELS / self.y.shape[1]))

    def postprocess(self, y: np.ndarray) -> np.ndarray:
        return np.clip(np.round(y), 0, 255).astype(np.uint8)

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Computes `mse` in units of the range, and its `psnr` in dB if finite."""
        error = float(np.mean(mse(y, other, peak=255.0)))
        return {"mse": error} | ({"psnr": psnr(error)} if error else {})

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders ten images above their reconstructions."""
        pairs = np.concatenate([y[:10], other[:10]])
        grid = image_grid(pairs, len(y[:10]), scale=self.shown_scale)
        return Media({"reconstructions": grid})
