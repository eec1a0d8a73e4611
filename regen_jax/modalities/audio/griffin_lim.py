"""Waves from magnitudes alone: the fast Griffin-Lim algorithm.

Griffin and Lim, "Signal estimation from modified short-time Fourier transform" (1984);
Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (2013).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.losses.spectral import quiet_norm
from regen_jax.modalities.audio.mel import mel_filters
from regen_jax.modalities.audio.stft import istft, stft

_TINY = 1e-12
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
    """Finds a wave with the given STFT magnitudes.

    Arguments:
      magnitude: f32[B, T, n_fft // 2 + 1].
      n_fft: samples in a frame, as in `stft`.
      hop: samples from a frame to the next.
      iterations: rounds of projection, each an inverse and a forward transform.
      momentum: how far a round goes beyond its projection; 0 is the algorithm of 1984,
        of which no round increases the distance of the two-sided magnitudes.
      keys: one key an example, to start from random phases; without them all phases
        start at 0.
      num_frames: int32[B], how many frames count; all of them where it is None.

    Returns:
      f32[B, T * hop], 0 from num_frames * hop on.
    """

    def projected(spectrum):
        return stft(istft(spectrum, n_fft, hop, num_frames), n_fft, hop)

    def with_magnitude(spectrum):
        return spectrum * (magnitude / jnp.maximum(jnp.abs(spectrum), _TINY))

    def step(_, carry):
        estimate, previous = carry
        consistent = projected(estimate)
        ahead = consistent + momentum * (consistent - previous)
        return with_magnitude(ahead), consistent

    start = _start(magnitude, keys)
    carry = (start, jnp.zeros_like(start))
    estimate, _ = jax.lax.fori_loop(0, iterations, step, carry)
    return istft(estimate, n_fft, hop, num_frames)


def spectral_convergence(
    wave: jax.Array, magnitude: jax.Array, n_fft: int = 1024, hop: int = 256
) -> jax.Array:
    """How far the magnitudes of wave [B, N] are from those wanted [B, T, F]: f32[B].

    It is `| |STFT(wave)| - magnitude | / | magnitude |` in the Frobenius norm, where
    `magnitude` counts as no quieter than `QUIET`.
    """
    error = jnp.abs(stft(wave, n_fft, hop)) - magnitude
    return jnp.linalg.norm(error, axis=(1, 2)) / jnp.maximum(
        jnp.linalg.norm(magnitude, axis=(1, 2)),
        quiet_norm(magnitude.shape[1], n_fft),
    )


def mel_to_magnitude(
    mel: jax.Array, sample_rate: int = 16000, n_fft: int = 1024, iterations: int = 30
) -> jax.Array:
    """Non-negative magnitudes whose mel bands are nearest to f32 [..., num_mels].

    The pseudo-inverse, clipped, is refined by the multiplicative updates of Lee and Seung
    (2000, equation 4), none of which increases the squared error. Bins that no band
    covers are 0.

    Returns:
      f32 [..., n_fft // 2 + 1].
    """
    filters = mel_filters(sample_rate, n_fft, mel.shape[-1])
    inverse = np.linalg.pinv(filters.astype(np.float64)).astype(np.float32)
    covered = filters.any(axis=1)
    wanted = _matmul(mel, filters.T)
    # An update cannot leave 0: what the clipping removed starts a little above it.
    least = 1e-3 * jnp.mean(mel, axis=-1, keepdims=True)
    start = jnp.where(covered, jnp.maximum(_matmul(mel, inverse), least), 0.0)

    def step(_, magnitude):
        found = _matmul(_matmul(magnitude, filters), filters.T)
        return magnitude * wanted / jnp.maximum(found, _TINY)

    return jax.lax.fori_loop(0, iterations, step, start)


def _start(magnitude: jax.Array, keys: jax.Array | None) -> jax.Array:
    if keys is None:
        return magnitude.astype(jnp.complex64)
    angle = jax.vmap(lambda key: jax.random.uniform(key, magnitude.shape[1:]))(keys)
    return magnitude * jnp.exp(2j * jnp.pi * angle)
