"""Phase reconstruction from magnitudes by the fast Griffin-Lim algorithm.

Griffin and Lim, "Signal estimation from modified short-time Fourier transform" (1984);
Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (2013).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.audio.mel import mel_filters
from regen_jax.modalities.audio.stft import istft, stft

_EPSILON = 1e-12
_matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)


def griffin_lim(
    magnitude: jax.Array,
    n_fft: int = 1024,
    hop: int = 256,
    iterations: int = 32,
    momentum: float = 0.99,
    keys: jax.Array | None = None,
    num_frames: jax.Array | None = None,
) -> jax.Array:
    """Finds a wave with given STFT magnitudes.

    Args:
      magnitude: f32[B, T, n_fft // 2 + 1].
      n_fft: samples per frame, as in `stft`.
      hop: samples between frames.
      iterations: number of iterations, each an inverse and a forward transform.
      momentum: extrapolation beyond each projection; 0 is the algorithm of 1984, in
        which no iteration increases the distance of the two-sided magnitudes.
      keys: one key per example, for random initial phases; None for phases of 0.
      num_frames: i32[B], valid frames; None for all of them.

    Returns:
      f32[B, T * hop], 0 from num_frames * hop on.
    """

    def project(spectrum):
        return stft(istft(spectrum, n_fft, hop, num_frames), n_fft, hop)

    def set_magnitude(spectrum):
        return spectrum * (magnitude / jnp.maximum(jnp.abs(spectrum), _EPSILON))

    def step(_, carry):
        estimate, previous = carry
        consistent = project(estimate)
        extrapolated = consistent + momentum * (consistent - previous)
        return set_magnitude(extrapolated), consistent

    start = _initial_spectrum(magnitude, keys)
    carry = (start, jnp.zeros_like(start))
    estimate, _ = jax.lax.fori_loop(0, iterations, step, carry)
    return istft(estimate, n_fft, hop, num_frames)


def mel_to_magnitude(
    mel: jax.Array, sample_rate: int = 16000, n_fft: int = 1024, iterations: int = 30
) -> jax.Array:
    """Finds non-negative STFT magnitudes with given mel magnitudes in least squares.

    The clipped pseudo-inverse is refined by the multiplicative updates of Lee and Seung
    (2000, equation 4), none of which increases the squared error.

    Args:
      mel: f32[..., num_mels].
      sample_rate: Hz.
      n_fft: samples per frame.
      iterations: number of updates.

    Returns:
      f32[..., n_fft // 2 + 1], 0 in bins that no band covers.
    """
    filters = mel_filters(sample_rate, n_fft, mel.shape[-1])
    inverse = np.linalg.pinv(filters.astype(np.float64)).astype(np.float32)
    covered = filters.any(axis=1)
    numerator = _matmul(mel, filters.T)
    # Multiplicative updates cannot leave 0, so clipped values start slightly above it.
    minimum = 1e-3 * jnp.mean(mel, axis=-1, keepdims=True)
    start = jnp.where(covered, jnp.maximum(_matmul(mel, inverse), minimum), 0.0)

    def step(_, magnitude):
        denominator = _matmul(_matmul(magnitude, filters), filters.T)
        return magnitude * numerator / jnp.maximum(denominator, _EPSILON)

    return jax.lax.fori_loop(0, iterations, step, start)


def _initial_spectrum(magnitude: jax.Array, keys: jax.Array | None) -> jax.Array:
    """Adds random phases to f32[B, T, F], or phases of 0 without keys."""
    if keys is None:
        return magnitude.astype(jnp.complex64)
    angle = jax.vmap(lambda key: jax.random.uniform(key, magnitude.shape[1:]))(keys)
    return magnitude * jnp.exp(2j * jnp.pi * angle)
