"""Mel filters, log-mel spectra and cepstral coefficients.

The mel scale and the filters are those of Slaney, "Auditory Toolbox" (1998): linear below
1 kHz and logarithmic above, triangles of unit area.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.audio.stft import stft

FLOOR = 1e-5
"""Minimum to which mel magnitudes are clipped before the logarithm."""

_HZ_PER_MEL = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Converts frequencies in Hz to Slaney's mel scale."""
    hz = np.asarray(hz, np.float64)
    above = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz < _KNEE_HZ, hz / _HZ_PER_MEL, above)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Converts mel to Hz, the inverse of `hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _HZ_PER_MEL, above)


@functools.cache
def mel_filters(sample_rate: int, n_fft: int, num_mels: int) -> np.ndarray:
    """Computes the weights of FFT bins in mel bands.

    Band k is a triangle of unit area in Hz over three neighbors among num_mels + 2
    points, which are evenly spaced in mel from 0 to half the sample rate.

    Args:
      sample_rate: Hz.
      n_fft: samples per frame.
      num_mels: number of bands.

    Returns:
      f32[n_fft // 2 + 1, num_mels], read-only.

    Raises:
      ValueError: a band is so narrow that no bin lies in it.
    """
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    points = mel_to_hz(np.linspace(0, hz_to_mel(sample_rate / 2), num_mels + 2))
    low, center, high = points[:-2], points[1:-1], points[2:]
    rising = (bins[:, None] - low) / (center - low)
    falling = (high - bins[:, None]) / (high - center)
    triangles = np.maximum(0, np.minimum(rising, falling))
    if not triangles.any(axis=0).all():
        raise ValueError(
            f"{num_mels} mel bands are too narrow for {n_fft // 2 + 1} bins at "
            f"{sample_rate} Hz: use fewer bands or a larger n_fft"
        )
    filters = (triangles * (2 / (high - low))).astype(np.float32)
    filters.setflags(write=False)
    return filters


def mel_magnitude(magnitude: jax.Array, sample_rate: int, num_mels: int) -> jax.Array:
    """Maps STFT magnitudes f32[..., F] to mel bands f32[..., num_mels]."""
    n_fft = 2 * (magnitude.shape[-1] - 1)
    return jnp.matmul(
        magnitude,
        mel_filters(sample_rate, n_fft, num_mels),
        precision=jax.lax.Precision.HIGHEST,
    )


def log_compress(mel: jax.Array) -> jax.Array:
    """Computes the natural logarithm of mel magnitudes, at least log(FLOOR)."""
    return jnp.log(jnp.maximum(mel, FLOOR))


def log_mel(
    wave: jax.Array, sample_rate: int, n_fft: int, hop: int, num_mels: int
) -> jax.Array:
    """Computes the natural logarithm of the mel magnitudes of a wave.

    Gradients are finite everywhere.

    Args:
      wave: f32[..., N], see `stft`.
      sample_rate: Hz.
      n_fft: samples per frame.
      hop: samples between frames.
      num_mels: number of bands from 0 to half the sample rate.

    Returns:
      f32[..., N // hop, num_mels], at least log(FLOOR).
    """
    spectrum = stft(wave, n_fft, hop)
    return log_compress(mel_magnitude(jnp.abs(spectrum), sample_rate, num_mels))


def mfcc(log_mel: jax.Array, num_coefficients: int = 13) -> jax.Array:
    """Computes mel-frequency cepstral coefficients by the orthonormal DCT-II.

    Args:
      log_mel: f32[..., num_mels].
      num_coefficients: number of coefficients, c0 first.

    Returns:
      f32[..., num_coefficients].
    """
    basis = dct_basis(log_mel.shape[-1], num_coefficients)
    return jnp.matmul(log_mel, basis, precision=jax.lax.Precision.HIGHEST)


def dct_basis(size: int, count: int) -> np.ndarray:
    """Computes the first `count` vectors of the orthonormal DCT-II, f32[size, count].

    Raises:
      ValueError: `count` is not from 1 to `size`.
    """
    if not 1 <= count <= size:
        raise ValueError(f"a DCT of {size} values has no first {count} coefficients")
    phase = np.pi / size * np.outer(np.arange(size) + 0.5, np.arange(count))
    basis = np.sqrt(2 / size) * np.cos(phase)
    basis[:, 0] /= np.sqrt(2)
    return basis.astype(np.float32)
