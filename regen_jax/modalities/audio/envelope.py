"""A first guess of a spectrum from its log-mel frames: smooth over frequency."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.audio.mel import hz_to_mel


def log_envelope(log_mel: jax.Array, sample_rate: int, n_fft: int) -> jax.Array:
    """Log-magnitudes of STFT bins, f32[..., n_fft // 2 + 1], of f32[..., num_mels].

    Bands are interpolated on the mel scale. That of a flat spectrum is right: a band,
    of unit area in Hz, sums bins that lie `sample_rate / n_fft` Hz apart.
    """
    weights = _interpolation(log_mel.shape[-1], sample_rate, n_fft)
    product = jnp.matmul(log_mel, weights, precision=jax.lax.Precision.HIGHEST)
    return product + math.log(sample_rate / n_fft)


@functools.cache
def _interpolation(num_mels: int, sample_rate: int, n_fft: int) -> np.ndarray:
    centres = np.linspace(0, hz_to_mel(sample_rate / 2), num_mels + 2)[1:-1]
    bins = hz_to_mel(np.arange(n_fft // 2 + 1) * (sample_rate / n_fft))
    rows = [np.interp(bins, centres, row) for row in np.eye(num_mels)]
    return np.stack(rows).astype(np.float32)
