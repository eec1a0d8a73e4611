import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.modalities.audio.prosody import energy, pitch
from regen_jax.modalities.audio.stft import stft

RATE, HOP = 8000, 80


def harmonics(hz, samples=2000):
    """Four harmonics of a frequency in Hz, which may change along the samples."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, samples)) / RATE
    return sum(np.sin(k * phase + k) / k for k in (1, 2, 3, 4)) / 3


def found(wave, **options):
    return pitch(wave, RATE, HOP, **options)


@pytest.mark.parametrize("hz", [70.0, 123.4, 250.0, 390.0])
@pytest.mark.parametrize("loudness", [1.0, 1e-3])
def test_finds_the_fundamental(hz, loudness):
    hz_found = found(loudness * harmonics(hz))
    assert hz_found.shape == (25,)
    np.testing.assert_allclose(hz_found[5:-5], hz, rtol=5e-3)


def test_finds_it_without_its_own_partial():
    wave = (
        harmonics(150.0) - np.sin(2 * np.pi * 150 * np.arange(1, 2001) / RATE + 1) / 3
    )
    np.testing.assert_allclose(found(wave)[5:-5], 150, rtol=5e-3)


def test_follows_a_glide():
    hz = np.linspace(100, 200, 4000)
    np.testing.assert_allclose(
        found(harmonics(hz, 4000))[5:-5], hz[::HOP][5:-5], rtol=0.03
    )


def test_agrees_with_the_difference_function_written_out():
    """The dip of YIN's equations 6 and 8 on one frame, to the nearest lag."""
    rng = np.random.default_rng(0)
    wave = harmonics(117.0, 1000) + rng.normal(size=1000) * 0.02
    longest = int(np.ceil(RATE / 60)) + 1
    window, start = 2 * longest, 400 - 3 * longest // 2
    x = wave[start : start + 3 * longest]
    d = [np.sum((x[:window] - x[t : t + window]) ** 2) for t in range(longest + 1)]
    relative = [1] + [d[t] * t / sum(d[1 : t + 1]) for t in range(1, longest + 1)]
    lag = next(
        t
        for t in range(RATE // 400, longest)
        if relative[t] < 0.15 and relative[t] < min(relative[t - 1], relative[t + 1])
    )
    assert abs(RATE / found(wave)[400 // HOP] - lag) <= 0.5


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(1000),
        np.full(1000, 0.3),
        np.random.default_rng(0).normal(size=1000),
    ],
    ids=["silence", "constant", "noise"],
)
def test_what_is_not_periodic_has_no_pitch(wave):
    # At the ends of a constant there is an edge.
    assert (found(wave)[4:-4] == 0).all()


def test_frames_of_any_length():
    for samples, frames in ((1, 1), (80, 1), (81, 2), (200, 3)):
        wave = harmonics(100.0, samples)
        assert found(wave).shape == energy(wave, 64, HOP).shape == (frames,)


def test_energy_is_the_norm_of_the_spectrum():
    wave = np.random.default_rng(0).uniform(-1, 1, 320).astype(np.float32)
    expected = jnp.linalg.norm(jnp.abs(stft(wave, 64, 16)), axis=1)
    np.testing.assert_allclose(energy(wave, 64, 16), expected, rtol=1e-5)
