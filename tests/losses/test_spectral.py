import jax
import librosa
import numpy as np
import pytest

from regen_jax.losses.spectral import (
    MIN_TARGET_RMS,
    check_resolutions,
    num_mels,
    spectral_losses,
)
from tests.modalities.audio import reference

RNG = np.random.default_rng(0)
WAVE = RNG.normal(0, 0.1, (3, 2048)).astype(np.float32)
TARGET = RNG.normal(0, 0.1, (3, 2048)).astype(np.float32)
SIZES = (256, 512)

losses = jax.jit(spectral_losses, static_argnums=(3, 4))


def reference_losses(wave: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Computes both losses of waves [N] by SciPy and librosa; all hops divide N."""
    log_mel, convergence = [], []
    for n_fft in SIZES:
        magnitudes = [
            np.abs(reference.stft(x, n_fft, n_fft // 4))[:-1] for x in (wave, target)
        ]
        filters = librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=num_mels(n_fft))
        mels = [np.log(np.maximum(m @ filters.T, 1e-5)) for m in magnitudes]
        log_mel.append(np.abs(mels[0] - mels[1]).mean())
        difference = np.linalg.norm(magnitudes[0] - magnitudes[1])
        convergence.append(difference / np.linalg.norm(magnitudes[1]))
    return {"log_mel": np.mean(log_mel), "convergence": np.mean(convergence)}


def test_losses_equal_scipy_and_librosa():
    values = losses(WAVE, TARGET, np.full(3, 2048), SIZES)
    for i in range(3):
        for name, value in reference_losses(WAVE[i], TARGET[i]).items():
            np.testing.assert_allclose(values[name][i], value, rtol=1e-4)


@pytest.mark.parametrize("garbage", [5.0, np.nan])
def test_samples_beyond_the_length_are_ignored(garbage):
    length = np.array([2048, 1024, 900])
    beyond = np.arange(2048) >= length[:, None]
    values = losses(
        np.where(beyond, garbage, WAVE),
        np.where(beyond, -garbage, TARGET),
        length,
        SIZES,
    )
    clean = losses(
        np.where(beyond, 0, WAVE), np.where(beyond, 0, TARGET), length, SIZES
    )
    alone = losses(WAVE[1:2, :1024], TARGET[1:2, :1024], np.array([1024]), SIZES)
    for name, value in values.items():
        assert np.all(np.isfinite(value))
        np.testing.assert_array_equal(value, clean[name])
        np.testing.assert_allclose(value[1], alone[name][0], rtol=1e-5)


def test_gradients_of_silent_and_empty_waves_are_finite():
    waves = np.stack([np.zeros(2048), WAVE[0], WAVE[1]]).astype(np.float32)
    targets = np.stack([TARGET[0], np.zeros(2048), TARGET[1]]).astype(np.float32)
    length = np.array([2048, 2048, 0])

    @jax.jit
    @jax.grad
    def gradient(waves):
        return sum(
            x.sum() for x in spectral_losses(waves, targets, length, SIZES).values()
        )

    gradients = np.asarray(gradient(waves))
    assert np.all(np.isfinite(gradients))
    assert np.any(gradients[1]) and not np.any(gradients[2])
    same = losses(targets, targets, length, SIZES)
    np.testing.assert_allclose(same["log_mel"], 0, atol=1e-6)
    np.testing.assert_array_equal(same["convergence"], 0)


def test_silent_target_is_normalized_by_the_minimum_rms():
    loudness = np.array([0, 1, 30], np.float32)
    waves = loudness[:, None] * MIN_TARGET_RMS * WAVE / np.std(WAVE)
    values = losses(waves, np.zeros_like(WAVE), np.full(3, 2048), SIZES)
    np.testing.assert_allclose(values["convergence"], loudness, rtol=0.05)
    assert values["log_mel"][0] == 0 and np.all(values["log_mel"] < 10)


def test_convergence_ignores_the_level_of_both_waves():
    scale = np.array([[1], [0.1], [0.02]], np.float32)
    waves, targets = scale * WAVE[0], scale * TARGET[0]
    assert np.std(targets[2]) < 3 * MIN_TARGET_RMS
    values = losses(waves, targets, np.full(3, 2048), SIZES)["convergence"]
    expected = reference_losses(WAVE[0], TARGET[0])["convergence"]
    np.testing.assert_allclose(values, expected, rtol=1e-3)


@pytest.mark.parametrize("sizes", [(), (32,), (256, 100)])
def test_invalid_resolutions_raise_value_error(sizes):
    with pytest.raises(ValueError, match="resolutions must be multiples of 8 from 64"):
        check_resolutions(sizes)
    assert check_resolutions((64, 2048)) is None
