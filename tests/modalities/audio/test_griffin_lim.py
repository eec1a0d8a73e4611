import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy

from regen_jax.losses.spectral import spectral_convergence_loss
from regen_jax.modalities.audio.griffin_lim import griffin_lim, mel_to_magnitude
from regen_jax.modalities.audio.mel import log_mel, mel_filters, mel_magnitude
from regen_jax.modalities.audio.stft import stft

N_FFT, HOP = 64, 16


def tones(batch_size=2, frames=24):
    """Synthesizes harmonics of a gliding pitch, f32[B, frames * HOP]."""
    time = np.arange(frames * HOP) / HOP
    waves = [
        sum(np.sin(0.7 * k * (time + 0.02 * (b + 1) * time**2)) / k for k in (1, 2, 3))
        for b in range(batch_size)
    ]
    return 0.4 * np.stack(waves).astype(np.float32)


@jax.jit
def spectrum(wave):
    return stft(wave, N_FFT, HOP)


@jax.jit
def reconstruct(magnitude, iterations=8, momentum=0.99, keys=None, num_frames=None):
    return griffin_lim(
        magnitude, N_FFT, HOP, iterations, momentum, keys=keys, num_frames=num_frames
    )


@jax.jit
def convergence(wave, magnitude):
    mask = jnp.ones(magnitude.shape[:2], bool)
    return spectral_convergence_loss(jnp.abs(spectrum(wave)), magnitude, mask)


def test_iterations_without_momentum_never_increase_the_error():
    magnitude = jnp.abs(spectrum(tones()))
    both_sides = np.full(N_FFT // 2 + 1, 2.0)
    both_sides[[0, -1]] = 1
    errors, convergences = [], []
    for iterations in range(25):
        wave = reconstruct(magnitude, iterations, 0.0)
        error = (jnp.abs(spectrum(wave)) - magnitude) ** 2
        errors.append(np.sum(error * both_sides, axis=(1, 2)))
        convergences.append(convergence(wave, magnitude))
    assert (np.diff(errors, axis=0) <= 1e-5 * errors[0]).all()
    assert (np.diff(convergences, axis=0) <= 1e-3).all()
    assert (convergences[-1] < 0.5 * convergences[0]).all()


def test_momentum_converges_faster_and_keys_vary_the_wave():
    wave = np.random.default_rng(0).uniform(-1, 1, (2, 24 * HOP))
    magnitude = jnp.abs(spectrum(wave))
    slow = reconstruct(magnitude, iterations=60, momentum=0.0)
    fast = reconstruct(magnitude, iterations=60, momentum=0.99)
    assert (convergence(fast, magnitude) < convergence(slow, magnitude)).all()
    keys = jax.random.split(jax.random.key(0), 2)
    random_start = reconstruct(magnitude, iterations=60, keys=keys)
    assert (convergence(random_start, magnitude) < 0.2).all()
    assert not np.allclose(random_start, fast, atol=1e-2)
    first = reconstruct(magnitude, iterations=2, keys=keys)
    alone = reconstruct(magnitude[1:], iterations=2, keys=keys[1:])
    np.testing.assert_allclose(alone, first[1:], atol=1e-4)


def test_invalid_frames_are_ignored():
    short, frames = 9, 15
    magnitude = np.array(jnp.abs(spectrum(tones(2, frames))))
    alone = reconstruct(magnitude[:1, :short], iterations=8)
    magnitude[0, short:] = 7.0
    both = reconstruct(magnitude, iterations=8, num_frames=jnp.array([short, frames]))
    np.testing.assert_allclose(both[0, : short * HOP], alone[0], atol=1e-4)
    np.testing.assert_array_equal(both[0, short * HOP :], 0)
    full = reconstruct(magnitude[1:], iterations=8)
    np.testing.assert_allclose(both[1], full[0], atol=1e-4)


def test_mel_to_magnitude_is_near_the_non_negative_optimum():
    rate, num_mels = 8000, 12
    filters = mel_filters(rate, N_FFT, num_mels)
    mel = np.exp(np.asarray(log_mel(tones(1, 5), rate, N_FFT, HOP, num_mels)))[0]
    mel *= np.random.default_rng(0).uniform(0.5, 2, mel.shape)
    magnitude = mel_to_magnitude(mel, rate, N_FFT, iterations=300)
    assert (np.asarray(magnitude) >= 0).all()
    error = np.linalg.norm(mel_magnitude(magnitude, rate, num_mels) - mel, axis=1)
    least = [scipy.optimize.nnls(filters.T, row)[1] for row in mel]
    assert (error - least <= 2e-3 * np.linalg.norm(mel, axis=1)).all()
    np.testing.assert_array_equal(magnitude[:, ~filters.any(axis=1)], 0)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 1.0])
def test_waves_of_silent_and_quiet_mels_are_finite(scale):
    mel = jnp.full((1, 4, 12), scale)
    wave = reconstruct(mel_to_magnitude(mel, 8000, N_FFT), iterations=4)
    assert wave.shape == (1, 64) and np.isfinite(wave).all()
    assert scale or not wave.any()
