"""Pitch and energy per frame of a wave, in NumPy on the host.

Frame i is centered at sample i * hop, as in `regen_jax.modalities.audio.stft`, and the
last frame is centered within the wave: a wave of N samples has ceil(N / hop) frames.
"""

import numpy as np

from regen_jax.modalities.audio.stft import hann_window

_SILENCE = 1e-9


def pitch(
    wave: np.ndarray,
    sample_rate: int = 16000,
    hop: int = 256,
    lowest: float = 60.0,
    highest: float = 400.0,
    threshold: float = 0.15,
) -> np.ndarray:
    """Estimates fundamental frequencies by YIN.

    De Cheveigné and Kawahara 2002, steps 1 to 5.

    Args:
      wave: float[N].
      sample_rate: Hz.
      hop: samples between frames.
      lowest: minimum frequency in Hz; a frame spans three of its periods.
      highest: maximum frequency in Hz.
      threshold: maximum aperiodic fraction of the power of a voiced frame.

    Returns:
      f64[ceil(N / hop)] in Hz, 0 in unvoiced frames.
    """
    max_lag = int(np.ceil(sample_rate / lowest)) + 1
    min_lag = max(2, int(sample_rate / highest))
    window = 2 * max_lag
    frames = _frame(wave, window + max_lag, hop)
    difference = _difference_function(frames, window, max_lag)
    # Each difference is normalized by the mean of those at shorter lags.
    lags = np.arange(1, max_lag + 1)
    total = np.cumsum(difference[:, 1:], axis=1)
    audible = total > _SILENCE * np.maximum(
        np.sum(frames**2, axis=1, keepdims=True), 1e-9
    )
    normalized = np.ones_like(difference)
    np.divide(difference[:, 1:] * lags, total, out=normalized[:, 1:], where=audible)

    center, before, after = (
        normalized[:, min_lag + k : max_lag + k] for k in (0, -1, 1)
    )
    dips = (center < threshold) & (center < before) & (center <= after)
    first = np.argmax(dips, axis=1)[:, None]
    center, before, after = (
        np.take_along_axis(x, first, 1)[:, 0] for x in (center, before, after)
    )
    voiced = dips.any(axis=1)
    curvature = np.where(voiced, before - 2 * center + after, 1.0)
    # The minimum of a parabola through three lags lies between them.
    lag = min_lag + first[:, 0] + (before - after) / (2 * curvature)
    return np.where(voiced, sample_rate / lag, 0.0)


def energy(wave: np.ndarray, n_fft: int = 1024, hop: int = 256) -> np.ndarray:
    """Computes the L2 norm of the STFT magnitudes per frame.

    This is the energy of FastSpeech 2 (arXiv 2006.04558, section 2.3).

    Args:
      wave: float[N].
      n_fft: samples per frame.
      hop: samples between frames.

    Returns:
      f64[ceil(N / hop)].
    """
    spectrum = np.fft.rfft(_frame(wave, n_fft, hop) * hann_window(n_fft))
    return np.linalg.norm(spectrum, axis=1)


def _frame(wave: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Cuts a zero-padded wave [N] into centered frames f64[ceil(N / hop), size]."""
    padded = np.pad(np.asarray(wave, np.float64), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)
    return frames[: len(wave) : hop]


def _difference_function(frames: np.ndarray, window: int, max_lag: int) -> np.ndarray:
    """Computes YIN's difference function by the Fourier transform.

    Args:
      frames: f64[T, window + max_lag].
      window: samples that are compared with those 0 to `max_lag` later.
      max_lag: largest lag in samples.

    Returns:
      Sums of squared differences f64[T, max_lag + 1].
    """
    # Large enough that no product wraps around at these lags.
    size = 1 << (frames.shape[1] - 1).bit_length()
    power = np.pad(np.cumsum(frames**2, axis=1), ((0, 0), (1, 0)))
    lags = np.arange(max_lag + 1)
    shifted = power[:, lags + window] - power[:, lags]
    fixed = np.fft.rfft(frames[:, :window], size)
    product = np.fft.irfft(np.conj(fixed) * np.fft.rfft(frames, size), size)
    return np.maximum(shifted[:, :1] + shifted - 2 * product[:, : max_lag + 1], 0.0)
