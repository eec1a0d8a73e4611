"""Spectrograms and alignments as images."""

from collections.abc import Sequence

import numpy as np

from regen_jax.media.image_grid import BACKGROUND, image_grid

# Five points of matplotlib's perceptually uniform color map "magma".
_COLORMAP = np.array(
    [(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)],
    np.float32,
)
_MIN_SIDE = 256
"""Pixels to which the longer side of a small alignment is about enlarged."""


def render_spectrograms(
    log_mels: Sequence[np.ndarray],
    labels: Sequence[str],
    columns: int = 1,
    *,
    low: float = -11.5,
    high: float = 1.5,
    scale: int = 2,
) -> np.ndarray:
    """Renders spectrograms in a grid, time to the right and frequency upwards.

    Args:
      log_mels: float[T, num_mels] each; T may differ.
      labels: caption of each, truncated to its width.
      columns: spectrograms per row.
      low: value of the darkest color.
      high: value of the brightest color. The defaults span the log-mel magnitudes of
        speech, so that images are comparable.
      scale: integer factor by which pixels are enlarged.

    Returns:
      u8[H, W, 3]; shorter spectrograms are padded with white.

    Raises:
      ValueError: a spectrogram has another shape, or the number of labels differs.
    """
    shapes = [np.shape(log_mel) for log_mel in log_mels]
    if not log_mels or any(len(s) != 2 or s[1] != shapes[0][1] for s in shapes):
        raise ValueError(
            "render_spectrograms needs one or more [T, num_mels] with equal num_mels, "
            f"not {shapes}"
        )
    width = max(1, max(frames for frames, _ in shapes))
    images = np.full((len(log_mels), shapes[0][1], width, 3), BACKGROUND, np.uint8)
    for image, log_mel in zip(images, log_mels, strict=True):
        unit = (np.asarray(log_mel, np.float32) - low) / (high - low)
        image[:, : len(log_mel)] = _apply_colormap(unit).swapaxes(0, 1)[::-1]
    return image_grid(images, columns, captions=labels, scale=scale)


def render_alignment(weights: np.ndarray) -> np.ndarray:
    """Renders attention weights, brightest at their maximum.

    Args:
      weights: float[L, S], not negative. Target positions L go to the right and source
        positions S upwards.

    Returns:
      u8[H, W, 3]; small alignments are enlarged.

    Raises:
      ValueError: the weights have another shape.
    """
    weights = np.asarray(weights, np.float32)
    if weights.ndim != 2 or 0 in weights.shape:
        raise ValueError(f"render_alignment needs [L, S], not {list(weights.shape)}")
    maximum = np.nanmax(weights, initial=0.0)
    unit = weights / (maximum if maximum > 0 else 1.0)
    image = _apply_colormap(unit).swapaxes(0, 1)[::-1]
    return image_grid(image[None], 1, scale=max(1, _MIN_SIDE // max(weights.shape)))


def _apply_colormap(values: np.ndarray) -> np.ndarray:
    """Maps float[...] in [0, 1] to colors u8[..., 3]; clips, and NaN counts as 0."""
    unit = np.clip(np.nan_to_num(values, nan=0.0), 0, 1)
    points = np.linspace(0, 1, len(_COLORMAP))
    channels = [np.interp(unit, points, channel) for channel in _COLORMAP.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
