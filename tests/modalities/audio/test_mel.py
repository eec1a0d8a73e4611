import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.fft

from regen_jax.modalities.audio import mel
from tests.modalities.audio import reference


@pytest.mark.parametrize(
    ("rate", "n_fft", "num_mels"),
    [(16000, 1024, 80), (22050, 1024, 80), (8000, 256, 20)],
)
def test_mel_filters_equal_librosa(rate, n_fft, num_mels):
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=num_mels)
    filters = mel.mel_filters(rate, n_fft, num_mels)
    np.testing.assert_allclose(filters, expected.T, atol=1e-6)


def test_mel_scale_equals_librosa_and_is_invertible():
    hz = np.array([0.0, 10.0, 999.0, 1000.0, 1001.0, 8000.0])
    np.testing.assert_allclose(mel.hz_to_mel(hz), librosa.hz_to_mel(hz))
    np.testing.assert_allclose(mel.mel_to_hz(mel.hz_to_mel(hz)), hz)


@pytest.mark.parametrize("level", [1.0, 1e-4, 0.0])
def test_log_mel_equals_scipy_and_librosa(level):
    rng = np.random.default_rng(0)
    wave = (level * rng.uniform(-1, 1, (2, 5 * 256))).astype(np.float32)
    filters = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=80)
    magnitudes = np.abs(reference.stft(wave, 1024, 256))[:, :5]
    expected = np.log(np.maximum(magnitudes @ filters.T, 1e-5))
    log_mel = mel.log_mel(wave, 16000, 1024, 256, 80)
    assert log_mel.shape == (2, 5, 80)
    np.testing.assert_allclose(log_mel, expected, atol=1e-4)


def test_gradients_of_silence_are_finite():
    gradient = jax.jit(
        jax.grad(lambda wave: jnp.sum(mel.log_mel(wave, 8000, 64, 16, 8)))
    )
    np.testing.assert_array_equal(gradient(jnp.zeros((1, 64))), 0)
    assert np.isfinite(gradient(jnp.full((1, 64), 0.3))).all()


def test_mfcc_equals_scipy():
    values = np.random.default_rng(0).normal(size=(3, 7, 20)).astype(np.float32)
    coefficients = mel.mfcc(values, 13)
    expected = scipy.fft.dct(values, type=2, norm="ortho")[..., :13]
    np.testing.assert_allclose(coefficients, expected, atol=1e-5)


def test_invalid_sizes_raise_value_error():
    with pytest.raises(ValueError, match="128 mel bands are too narrow for 129 bins"):
        mel.mel_filters(16000, 256, 128)
    with pytest.raises(ValueError, match="a DCT of 8 values has no first 13"):
        mel.mfcc(np.zeros((2, 8), np.float32), 13)
