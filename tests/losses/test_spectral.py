"""Spectral distances against librosa, and what does not count in them."""

import jax
import librosa
import numpy as np
import pytest

from regen_jax.losses.spectral import QUIET, check_resolutions, num_mels, spectral_loss

RNG = np.random.default_rng(0)
WAVE = RNG.normal(0, 0.1, (3, 2048)).astype(np.float32)
TARGET = RNG.normal(0, 0.1, (3, 2048)).astype(np.float32)
SIZES = (256, 512)

loss = jax.jit(spectral_loss, static_argnums=(3, 4))


def reference(wave: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Both distances of two waves [N] whose hops all divide N."""
    log_mel, convergence = [], []
    for n_fft in SIZES:
        magnitudes = [
            np.abs(librosa.stft(x, n_fft=n_fft, hop_length=n_fft // 4))[:, :-1]
            for x in (wave, target)
        ]
        filters = librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=num_mels(n_fft))
        mels = [np.log(np.maximum(filters @ m, 1e-5)) for m in magnitudes]
        log_mel.append(np.abs(mels[0] - mels[1]).mean())
        difference = np.linalg.norm(magnitudes[0] - magnitudes[1])
        convergence.append(difference / np.linalg.norm(magnitudes[1]))
    return {"log_mel": np.mean(log_mel), "convergence": np.mean(convergence)}


def test_agrees_with_librosa():
    found = loss(WAVE, TARGET, np.full(3, 2048), SIZES)
    for i in range(3):
        for name, value in reference(WAVE[i], TARGET[i]).items():
            np.testing.assert_allclose(found[name][i], value, rtol=1e-4)


@pytest.mark.parametrize("garbage", [5.0, np.nan])
def test_what_lies_beyond_the_length_does_not_count(garbage):
    length = np.array([2048, 1024, 900])
    beyond = np.arange(2048) >= length[:, None]
    found = loss(
        np.where(beyond, garbage, WAVE),
        np.where(beyond, -garbage, TARGET),
        length,
        SIZES,
    )
    clean = loss(np.where(beyond, 0, WAVE), np.where(beyond, 0, TARGET), length, SIZES)
    alone = loss(WAVE[1:2, :1024], TARGET[1:2, :1024], np.array([1024]), SIZES)
    for name, value in found.items():
        assert np.all(np.isfinite(value))
        np.testing.assert_array_equal(value, clean[name])
        np.testing.assert_allclose(value[1], alone[name][0], rtol=1e-5)


def test_gradient_is_finite_where_sound_is_silent_or_missing():
    waves = np.stack([np.zeros(2048), WAVE[0], WAVE[1]]).astype(np.float32)
    targets = np.stack([TARGET[0], np.zeros(2048), TARGET[1]]).astype(np.float32)
    length = np.array([2048, 2048, 0])

    @jax.jit
    @jax.grad
    def gradient(waves):
        return sum(
            x.sum() for x in spectral_loss(waves, targets, length, SIZES).values()
        )

    found = np.asarray(gradient(waves))
    assert np.all(np.isfinite(found)) and np.any(found[1]) and not np.any(found[2])
    same = loss(targets, targets, length, SIZES)
    np.testing.assert_allclose(same["log_mel"], 0, atol=1e-6)
    np.testing.assert_array_equal(same["convergence"], 0)


def test_silent_target_is_as_far_as_the_noise_beside_it_is_loud():
    loudness = np.array([0, 1, 30], np.float32)
    waves = loudness[:, None] * QUIET * WAVE / np.std(WAVE)
    found = loss(waves, np.zeros_like(WAVE), np.full(3, 2048), SIZES)
    np.testing.assert_allclose(found["convergence"], loudness, rtol=0.05)
    assert found["log_mel"][0] == 0 and np.all(found["log_mel"] < 10)


def test_quiet_targets_are_as_far_as_loud_ones():
    scale = np.array([[1], [0.1], [0.02]], np.float32)
    waves, targets = scale * WAVE[0], scale * TARGET[0]
    assert np.std(targets[2]) < 3 * QUIET
    found = loss(waves, targets, np.full(3, 2048), SIZES)["convergence"]
    expected = reference(WAVE[0], TARGET[0])["convergence"]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("sizes", [(), (32,), (256, 100)])
def test_refuses_resolutions(sizes):
    with pytest.raises(ValueError, match="resolutions must be multiples of 8 from 64"):
        check_resolutions(sizes)
    assert check_resolutions((64, 2048)) is None
