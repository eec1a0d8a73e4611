import numpy as np
import pytest
import scipy.fft

from regen_jax.metrics.audio import (
    log_spectral_distance,
    mel_cepstral_distortion,
    mel_cepstrum,
)
from regen_jax.modalities.audio.mel import FLOOR


def log_mels(frames, seed=0, bands=20):
    return np.random.default_rng(seed).normal(size=(frames, bands))


def cosine(order, bands=20):
    return np.cos(np.pi * order * (np.arange(bands) + 0.5) / bands)


def test_mel_cepstrum_equals_scipy_dct():
    values = log_mels(5)
    expected = scipy.fft.dct(values, type=2)[:, 1:14] / 20
    np.testing.assert_allclose(mel_cepstrum(values, 13), expected)


@pytest.mark.parametrize("order", [1, 5, 13])
def test_cosine_along_bands_has_closed_form_distortion(order):
    """A cosine of amplitude a along the bands is 10 / ln 10 * sqrt(2) * a dB apart."""
    frame = log_mels(1)
    distortion = mel_cepstral_distortion(frame, frame + 0.3 * cosine(order))
    assert distortion == pytest.approx(10 / np.log(10) * np.sqrt(2) * 0.3)


def test_all_coefficients_give_the_rms_difference_of_spectra_in_db():
    """The level, c0, does not count; 20 log10 of a magnitude is its dB."""
    a, b = log_mels(1, 0), log_mels(1, 1)
    difference = 20 / np.log(10) * (a - b)
    distortion = mel_cepstral_distortion(a, b, num_coefficients=19)
    assert distortion == pytest.approx(np.std(difference))


def test_level_fine_structure_and_tempo_are_ignored():
    values = log_mels(6)
    for other in (
        values + 0.7,
        values + 0.3 * cosine(14),
        np.repeat(values, [1, 2, 1, 3, 1, 1], axis=0),
    ):
        assert mel_cepstral_distortion(values, other) == pytest.approx(0, abs=1e-9)


def test_silence_has_finite_distortion():
    silence, sound = np.full((4, 20), np.log(FLOOR)), log_mels(1)
    assert mel_cepstral_distortion(silence, silence) == 0
    expected = 10 / np.log(10) * np.sqrt(2) * np.linalg.norm(mel_cepstrum(sound, 13))
    assert mel_cepstral_distortion(silence, sound) == pytest.approx(expected)


def test_distortion_is_the_mean_over_the_path():
    steps = np.array([0.0, 10.0, 20.0])[:, None] * cosine(1)
    other = np.array([0.0, 1.0, 10.0, 22.0])[:, None] * cosine(1)
    # 0-0, 0-1, 10-10, 20-22: distances 0, 1, 0, 2 of c1.
    expected = 10 / np.log(10) * np.sqrt(2) * 3 / 4
    assert mel_cepstral_distortion(steps, other) == pytest.approx(expected)
    assert mel_cepstral_distortion(other, steps) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "count", "message"),
    [
        (log_mels(3), log_mels(3, bands=8), 4, r"not \[3, 20\] and \[3, 8\]"),
        (log_mels(3)[0], log_mels(3), 4, r"not \[20\] and \[3, 20\]"),
        (log_mels(0), log_mels(3), 4, r"not \[0, 20\]"),
        (log_mels(3), log_mels(3), 20, "20 mel bands have 1 to 19 .* c0, not 20"),
    ],
)
def test_invalid_arguments_raise_value_error(a, b, count, message):
    with pytest.raises(ValueError, match=message):
        mel_cepstral_distortion(a, b, count)


def magnitudes(frames, seed=0, bins=9):
    """Between 20 dB below the loudest, 1, and it."""
    values = np.random.default_rng(seed).uniform(0.1, 1, (frames, bins))
    values[0, 0] = 1
    return values


def test_distance_of_equal_frames_is_that_of_their_spectra_in_db():
    a, b = magnitudes(1), magnitudes(1, seed=1)
    expected = np.sqrt(np.mean((20 * np.log10(a / b)) ** 2))
    assert log_spectral_distance(a, b) == pytest.approx(expected)
    assert log_spectral_distance(a, a) == pytest.approx(0, abs=1e-5)
    louder = log_spectral_distance(a, 2 * a)
    assert louder == pytest.approx(20 * np.log10(2))


def test_tempo_and_silence_at_the_end_are_ignored():
    values = magnitudes(5)
    silence = np.full((3, 9), 1e-4)
    for other in (
        np.repeat(values, [1, 3, 1, 2, 1], axis=0),
        np.concatenate([values, silence]),
    ):
        assert log_spectral_distance(values, other) == pytest.approx(0, abs=1e-5)
        assert log_spectral_distance(other, values) == pytest.approx(0, abs=1e-5)


def test_silence_is_as_far_as_the_range_allows():
    sound = np.ones((4, 9))
    assert log_spectral_distance(sound, np.zeros((2, 9)), 40.0) == pytest.approx(40)
    assert log_spectral_distance(np.zeros((2, 9)), np.zeros((5, 9))) == 0


def test_magnitudes_of_other_bins_raise_value_error():
    with pytest.raises(ValueError, match=r"not \[3, 9\] and \[3, 8\]"):
        log_spectral_distance(magnitudes(3), magnitudes(3, bins=8))
