"""Metrics of predicted frames, per clip."""

import numpy as np

from regen_jax.extras import require


def mean_squared_errors(frames: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Computes the mean squared error of each clip u8[N, T, H, W, C], f64[N]."""
    pairs = zip(frames, other, strict=True)
    return np.array([np.mean((a.astype(np.float64) - b) ** 2) for a, b in pairs])


def structural_similarities(frames: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Computes the mean structural similarity (SSIM) of the frames of each clip.

    With the Gaussian window of Wang et al. (IEEE TIP 13(4), 2004), by scikit-image, and
    averaged over channels.

    Args:
      frames: u8[N, T, H, W, C], of at least 11 x 11 pixels.
      other: the same.

    Returns:
      f64[N].
    """
    skimage = require("skimage.metrics", "video", "the structural similarity")

    def similarity(frame: np.ndarray, reference: np.ndarray) -> float:
        return skimage.structural_similarity(
            frame,
            reference,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )

    return np.array(
        [
            np.mean([similarity(*pair) for pair in zip(clip, reference, strict=True)])
            for clip, reference in zip(frames, other, strict=True)
        ]
    )
