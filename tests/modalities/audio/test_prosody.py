import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.modalities.audio.prosody import energy, pitch
from regen_jax.modalities.audio.stft import stft

RATE, HOP = 8000, 80


def harmonics(hz, samples=2000):
    """Synthesizes four harmonics of a frequency in Hz, constant or per sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, samples)) / RATE
    return sum(np.sin(k * phase + k) / k for k in (1, 2, 3, 4)) / 3


def estimate(wave):
    return pitch(wave, RATE, HOP)


@pytest.mark.parametrize("hz", [70.0, 123.4, 250.0, 390.0])
@pytest.mark.parametrize("level", [1.0, 1e-3])
def test_pitch_of_harmonics_is_their_fundamental(hz, level):
    estimates = estimate(level * harmonics(hz))
    assert estimates.shape == (25,)
    np.testing.assert_allclose(estimates[5:-5], hz, rtol=5e-3)


def test_pitch_is_found_without_the_first_partial():
    wave = (
        harmonics(150.0) - np.sin(2 * np.pi * 150 * np.arange(1, 2001) / RATE + 1) / 3
    )
    np.testing.assert_allclose(estimate(wave)[5:-5], 150, rtol=5e-3)


def test_pitch_follows_a_glide():
    hz = np.linspace(100, 200, 4000)
    np.testing.assert_allclose(
        estimate(harmonics(hz, 4000))[5:-5], hz[::HOP][5:-5], rtol=0.03
    )


def test_pitch_equals_explicit_difference_function():
    """YIN's equations 6 and 8 give the same dip on one frame, to the nearest lag."""
    rng = np.random.default_rng(0)
    wave = harmonics(117.0, 1000) + rng.normal(size=1000) * 0.02
    max_lag = int(np.ceil(RATE / 60)) + 1
    window, start = 2 * max_lag, 400 - 3 * max_lag // 2
    x = wave[start : start + 3 * max_lag]
    d = [np.sum((x[:window] - x[t : t + window]) ** 2) for t in range(max_lag + 1)]
    normalized = [1] + [d[t] * t / sum(d[1 : t + 1]) for t in range(1, max_lag + 1)]
    lag = next(
        t
        for t in range(RATE // 400, max_lag)
        if normalized[t] < 0.15
        and normalized[t] < min(normalized[t - 1], normalized[t + 1])
    )
    assert abs(RATE / estimate(wave)[400 // HOP] - lag) <= 0.5


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(1000),
        np.full(1000, 0.3),
        np.random.default_rng(0).normal(size=1000),
    ],
    ids=["silence", "constant", "noise"],
)
def test_aperiodic_wave_is_unvoiced(wave):
    # A constant has edges at its ends.
    assert (estimate(wave)[4:-4] == 0).all()


def test_number_of_frames_is_rounded_up():
    for samples, frames in ((1, 1), (80, 1), (81, 2), (200, 3)):
        wave = harmonics(100.0, samples)
        assert estimate(wave).shape == energy(wave, 64, HOP).shape == (frames,)


def test_energy_is_the_norm_of_stft_magnitudes():
    wave = np.random.default_rng(0).uniform(-1, 1, 320).astype(np.float32)
    expected = jnp.linalg.norm(jnp.abs(stft(wave, 64, 16)), axis=1)
    np.testing.assert_allclose(energy(wave, 64, 16), expected, rtol=1e-5)
