"""Smooth spectral envelopes from log-mel frames."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.audio.mel import hz_to_mel


def log_envelope(log_mel: jax.Array, sample_rate: int, n_fft: int) -> jax.Array:
    """Estimates log-magnitudes of STFT bins by interpolating mel bands.

    The estimate is exact for flat spectra: a band, which has unit area in Hz, sums bins
    that are `sample_rate / n_fft` Hz apart.

    Args:
      log_mel: f32[..., num_mels].
      sample_rate: Hz.
      n_fft: samples per frame.

    Returns:
      f32[..., n_fft // 2 + 1].
    """
    weights = _interpolation(log_mel.shape[-1], sample_rate, n_fft)
    product = jnp.matmul(log_mel, weights, precision=jax.lax.Precision.HIGHEST)
    return product + math.log(sample_rate / n_fft)


@functools.cache
def _interpolation(num_mels: int, sample_rate: int, n_fft: int) -> np.ndarray:
    """Computes linear interpolation weights on the mel scale, f32[num_mels, F]."""
    centers = np.linspace(0, hz_to_mel(sample_rate / 2), num_mels + 2)[1:-1]
    bins = hz_to_mel(np.arange(n_fft // 2 + 1) * (sample_rate / n_fft))
    rows = [np.interp(bins, centers, row) for row in np.eye(num_mels)]
    return np.stack(rows).astype(np.float32)
