"""Pitch and energy of each frame of a wave, on the host by NumPy.

Frame i is centred at sample i * hop, as in `regen_jax.modalities.audio.stft`, and the last one lies
within the wave: a wave of N samples has ceil(N / hop).
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
    """Fundamental frequencies by YIN (de Cheveigné and Kawahara 2002, steps 1 to 5).

    Arguments:
      wave: float [N].
      sample_rate: in Hz.
      hop: samples from a frame to the next.
      lowest: of the frequencies searched, in Hz. A frame spans three of its periods.
      highest: of the frequencies searched, in Hz.
      threshold: how much of its power a frame may have that is not periodic.

    Returns:
      float64 [ceil(N / hop)] in Hz, 0 where a frame is not voiced.
    """
    longest = int(np.ceil(sample_rate / lowest)) + 1
    shortest = max(2, int(sample_rate / highest))
    window = 2 * longest
    frames = _cut(wave, window + longest, hop)
    difference = _difference(frames, window, longest)
    # The mean of the differences at shorter lags is what each is measured by.
    lags = np.arange(1, longest + 1)
    total = np.cumsum(difference[:, 1:], axis=1)
    loud = total > _SILENCE * np.maximum(np.sum(frames**2, axis=1, keepdims=True), 1e-9)
    normalized = np.ones_like(difference)
    np.divide(difference[:, 1:] * lags, total, out=normalized[:, 1:], where=loud)

    here, before, after = (
        normalized[:, shortest + k : longest + k] for k in (0, -1, 1)
    )
    dips = (here < threshold) & (here < before) & (here <= after)
    first = np.argmax(dips, axis=1)[:, None]
    here, before, after = (
        np.take_along_axis(x, first, 1)[:, 0] for x in (here, before, after)
    )
    voiced = dips.any(axis=1)
    curvature = np.where(voiced, before - 2 * here + after, 1.0)
    # The bottom of a parabola through three neighbours lies between the lags.
    lag = shortest + first[:, 0] + (before - after) / (2 * curvature)
    return np.where(voiced, sample_rate / lag, 0.0)


def energy(wave: np.ndarray, n_fft: int = 1024, hop: int = 256) -> np.ndarray:
    """The L2 norm of the STFT magnitudes of each frame of wave [N], f64 [ceil(N / hop)].

    It is the energy of FastSpeech 2 (arXiv 2006.04558, section 2.3).
    """
    spectrum = np.fft.rfft(_cut(wave, n_fft, hop) * hann_window(n_fft))
    return np.linalg.norm(spectrum, axis=1)


def _cut(wave: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Centred frames float64 [ceil(N / hop), size] of a wave [N]; zeros at its ends."""
    padded = np.pad(np.asarray(wave, np.float64), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)
    return frames[: len(wave) : hop]


def _difference(frames: np.ndarray, window: int, longest: int) -> np.ndarray:
    """Squared distance of the first `window` samples to those 0 to `longest` later.

    Frames [T, window + longest] to [T, longest + 1]; products by the Fourier transform.
    """
    # Long enough that no product of a lag in question wraps around.
    size = 1 << (frames.shape[1] - 1).bit_length()
    power = np.pad(np.cumsum(frames**2, axis=1), ((0, 0), (1, 0)))
    lags = np.arange(longest + 1)
    later = power[:, lags + window] - power[:, lags]
    fixed = np.fft.rfft(frames[:, :window], size)
    product = np.fft.irfft(np.conj(fixed) * np.fft.rfft(frames, size), size)
    return np.maximum(later[:, :1] + later - 2 * product[:, : longest + 1], 0.0)
