import numpy as np
import pytest

from regen_jax.media.synthesis import RELEASE, synthesize
from regen_jax.modalities.music.score import Note, Score

RATE = 8_000


@pytest.mark.parametrize("pitch", [36, 57, 69, 84])
def test_note_has_its_pitch(pitch):
    wave = synthesize(Score(((Note(0, 4, pitch),),), 4), RATE, tempo=60)
    steady = wave[RATE // 10 : RATE]
    padded = np.abs(np.fft.rfft(steady * np.hanning(len(steady)), 2**17))
    frequency = np.argmax(padded) * RATE / 2**17
    assert frequency == pytest.approx(440 * 2 ** ((pitch - 69) / 12), rel=0.005)


def test_notes_sound_for_their_duration_and_rests_are_silent():
    voice = (Note(2, 2, 69), Note(8, 2, 60))
    wave = synthesize(Score((voice,), 2), RATE, tempo=120)
    assert wave.dtype == np.float32
    assert len(wave) == round((10 * 0.25 + RELEASE) * RATE)
    loud = np.abs(wave[: 10 * RATE // 4].reshape(10, -1)).max(axis=1)
    assert (loud[[2, 3, 8, 9]] > 0.1).all() and loud[4] > 0
    np.testing.assert_array_equal(loud[[0, 1, 5, 6, 7]], 0)


def test_voices_are_summed_without_clipping():
    high, low = (Note(0, 2, 76),), (Note(1, 1, 40), Note(2, 4, 41))
    both, first, second = (
        synthesize(Score(voices, 2), RATE).astype(np.float64)
        for voices in ((high, low), (high,), (low,))
    )
    assert np.abs(both).max() == pytest.approx(0.8)
    first = np.pad(first, (0, len(both) - len(first)))
    weights, residue, *_ = np.linalg.lstsq(np.stack([first, second], 1), both)
    assert (weights > 0.3).all() and residue < 1e-6


def test_notes_start_and_end_without_clicks():
    wave = synthesize(Score(((Note(0, 2, 36), Note(2, 2, 43)),), 2), RATE)
    assert np.abs(wave[[0, -1]]).max() < 1e-3
    # Softly: nothing much within the first five milliseconds of 250.
    assert np.abs(wave[: RATE // 200]).max() < 0.1 * np.abs(wave).max()
    # The sixth harmonic of 98 Hz at most moves this far in a sample.
    assert np.abs(np.diff(wave)).max() < 0.8 * 2 * np.pi * 6 * 98 / RATE


def test_harmonics_above_half_the_sample_rate_are_left_out():
    wave = synthesize(Score(((Note(0, 4, 84),),), 4), 4_000)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    frequency = np.fft.rfftfreq(len(wave), 1 / 4_000)
    assert spectrum[np.abs(frequency - 1046.5) > 30].max() < spectrum.max() / 1000


def test_score_without_notes_is_silent():
    wave = synthesize(Score(((),), 2), RATE)
    assert len(wave) == RELEASE * RATE and not wave.any()
