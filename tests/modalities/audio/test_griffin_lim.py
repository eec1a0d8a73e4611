import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from regen_jax.losses.spectral import QUIET
from regen_jax.modalities.audio.griffin_lim import (
    griffin_lim,
    mel_to_magnitude,
    spectral_convergence,
)
from regen_jax.modalities.audio.mel import log_mel, mel_filters, mel_magnitude
from regen_jax.modalities.audio.stft import stft

N_FFT, HOP = 64, 16


def tones(batch_size=2, frames=24):
    """Harmonics of a gliding pitch, f32[B, frames * HOP]."""
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
def rebuilt(magnitude, iterations=8, momentum=0.99, keys=None, num_frames=None):
    return griffin_lim(
        magnitude, N_FFT, HOP, iterations, momentum, keys=keys, num_frames=num_frames
    )


@jax.jit
def distance(wave, magnitude):
    return spectral_convergence(wave, magnitude, N_FFT, HOP)


def test_classic_rounds_never_lose_what_was_gained():
    magnitude = jnp.abs(spectrum(tones()))
    both_sides = np.full(N_FFT // 2 + 1, 2.0)
    both_sides[[0, -1]] = 1
    errors, convergence = [], []
    for iterations in range(25):
        wave = rebuilt(magnitude, iterations, 0.0)
        error = (jnp.abs(spectrum(wave)) - magnitude) ** 2
        errors.append(np.sum(error * both_sides, axis=(1, 2)))
        convergence.append(distance(wave, magnitude))
    assert (np.diff(errors, axis=0) <= 1e-5 * errors[0]).all()
    assert (np.diff(convergence, axis=0) <= 1e-3).all()
    assert (convergence[-1] < 0.5 * convergence[0]).all()


def test_momentum_gets_nearer_and_keys_give_other_waves():
    wave = np.random.default_rng(0).uniform(-1, 1, (2, 24 * HOP))
    magnitude = jnp.abs(spectrum(wave))
    slow = rebuilt(magnitude, iterations=60, momentum=0.0)
    fast = rebuilt(magnitude, iterations=60, momentum=0.99)
    assert (distance(fast, magnitude) < distance(slow, magnitude)).all()
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = rebuilt(magnitude, iterations=60, keys=keys)
    assert (distance(drawn, magnitude) < 0.2).all()
    assert not np.allclose(drawn, fast, atol=1e-2)
    first = rebuilt(magnitude, iterations=2, keys=keys)
    alone = rebuilt(magnitude[1:], iterations=2, keys=keys[1:])
    np.testing.assert_allclose(alone, first[1:], atol=1e-4)


def test_convergence_is_a_relative_distance():
    wave = tones()
    magnitude = jnp.abs(spectrum(wave))
    expected = [np.linalg.norm(0.5 * m) / np.linalg.norm(1.5 * m) for m in magnitude]
    found = distance(wave, 1.5 * magnitude)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_convergence_of_silence_is_the_level_over_that_of_quiet():
    noise = np.random.default_rng(1).normal(0, 2 * QUIET, (2, 24 * HOP))
    found = distance(noise, jnp.zeros((2, 24, N_FFT // 2 + 1)))
    np.testing.assert_allclose(found, 2, rtol=0.1)


def test_frames_that_do_not_count_change_nothing():
    short, frames = 9, 15
    magnitude = np.array(jnp.abs(spectrum(tones(2, frames))))
    alone = rebuilt(magnitude[:1, :short], iterations=8)
    magnitude[0, short:] = 7.0
    found = rebuilt(magnitude, iterations=8, num_frames=jnp.array([short, frames]))
    np.testing.assert_allclose(found[0, : short * HOP], alone[0], atol=1e-4)
    np.testing.assert_array_equal(found[0, short * HOP :], 0)
    full = rebuilt(magnitude[1:], iterations=8)
    np.testing.assert_allclose(found[1], full[0], atol=1e-4)


def test_magnitudes_come_near_the_best_non_negative_ones():
    rate, num_mels = 8000, 12
    filters = mel_filters(rate, N_FFT, num_mels)
    mel = np.exp(np.asarray(log_mel(tones(1, 5), rate, N_FFT, HOP, num_mels)))[0]
    mel *= np.random.default_rng(0).uniform(0.5, 2, mel.shape)
    found = mel_to_magnitude(mel, rate, N_FFT, iterations=300)
    assert (np.asarray(found) >= 0).all()
    error = np.linalg.norm(mel_magnitude(found, rate, num_mels) - mel, axis=1)
    least = [scipy.optimize.nnls(filters.T, row)[1] for row in mel]
    assert (error - least <= 2e-3 * np.linalg.norm(mel, axis=1)).all()
    np.testing.assert_array_equal(found[:, ~filters.any(axis=1)], 0)


@pytest.mark.parametrize("scale", [0.0, 1e-5, 1.0])
def test_silence_and_quiet_are_finite(scale):
    mel = jnp.full((1, 4, 12), scale)
    wave = rebuilt(mel_to_magnitude(mel, 8000, N_FFT), iterations=4)
    assert wave.shape == (1, 64) and np.isfinite(wave).all()
    assert scale or not wave.any()
