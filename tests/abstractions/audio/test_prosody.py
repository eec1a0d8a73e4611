import numpy as np
import pytest

from regen_jax.abstractions.audio.prosody import SYMBOLS, Prosody
from regen_jax.errors import UserError
from regen_jax.spaces import Array, Category, Padded, lengths

RATE, HOP, CANVAS = 8000, 80, 8000
OPTIONS = {"sample_rate": RATE, "hop": HOP, "n_fft": 320, "symbols": ("_", "s", "ˈæ")}
DURATIONS = np.array([1000, 2003, 1997, 1500])
PHONEMES = ["_", "ˈæ", "ˈæ", "s"]
# Silence, 100 Hz loudly, 200 Hz at a tenth of the amplitude, noise.
NOTES = {"phonemes": PHONEMES, "durations": DURATIONS}


def space(padded=True):
    return Array((CANVAS,), -1.0, 1.0, padded=padded)


def speech(garbage=0.0):
    """The wave of NOTES on the canvas: Padded f32[CANVAS]."""
    time = np.arange(CANVAS) / RATE
    noise = np.random.default_rng(0).normal(size=CANVAS)
    parts = (
        0 * time,
        0.8 * np.sin(2 * np.pi * 100 * time),
        0.08 * np.sin(2 * np.pi * 200 * time),
        0.1 * noise,
    )
    which = np.repeat(np.arange(4), DURATIONS)
    wave = np.full(CANVAS, garbage, np.float32)
    wave[: len(which)] = np.choose(which, [p[: len(which)] for p in parts])
    return Padded(wave, np.int32(len(which)))


def test_levels_are_phoneme_duration_pitch_and_energy():
    rule = Prosody(space(), **OPTIONS, bins=40, length=6)
    found = rule.extract(speech(), NOTES)
    assert found.shape == rule.output_space.shape == (6, 4) and found.dtype == np.int32
    assert not found[4:].any() and found.max() < rule.output_space.vocab
    assert lengths(rule.output_space, found[None]).tolist() == [4]
    assert found[:4, 0].tolist() == [1, 3, 3, 2]
    # Frames start at multiples of 80: boundaries at 1000, 3003, 5000 and 6500 samples.
    assert (found[:4, 1] - 1).tolist() == [13, 25, 25, 19]
    assert found[3, 2] == 1
    for row, hz in ((1, 100), (2, 200)):
        exact = 2 + 40 * np.log(hz / 60) / np.log(400 / 60)
        assert abs(found[row, 2] - np.floor(exact)) <= 1
    # Of a tone of amplitude a, through Hann's window: a * n_fft / 4 * sqrt(3 / 2).
    for row, amplitude in ((1, 0.8), (2, 0.08)):
        decibels = 20 * np.log10(amplitude * np.sqrt(1.5) / 2)
        exact = 1 + 40 * (1 + decibels / 80)
        assert abs(found[row, 3] - np.floor(exact)) <= 1
    assert found[1, 3] - found[2, 3] in (9, 10, 11)


def test_silence_is_unvoiced_and_in_the_lowest_bin():
    wave = Padded(np.zeros(CANVAS, np.float32), np.int32(800))
    notes = {"phonemes": ["_"], "durations": [800]}
    assert Prosody(space(), **OPTIONS).extract(wave, notes)[0].tolist() == [
        1,
        11,
        1,
        1,
    ]


def test_loudest_and_highest_sounds_are_in_the_last_bins():
    wave = np.sign(np.sin(2 * np.pi * 399 * np.arange(CANVAS) / RATE))
    notes = {"phonemes": ["s"], "durations": [CANVAS]}
    rule = Prosody(space(padded=False), **OPTIONS, bins=200)
    found = rule.extract(wave.astype(np.float32), notes)
    assert rule.output_space.vocab == 202
    assert found[0, 1] == 101 and found[0, 2] > 195 and 190 < found[0, 3] <= 200


def test_samples_in_padding_change_nothing():
    rule = Prosody(space(), **OPTIONS)
    expected = rule.extract(speech(), NOTES)
    np.testing.assert_array_equal(rule.extract(speech(garbage=0.9), NOTES), expected)


def test_durations_add_up_to_the_frames_of_the_wave():
    rng = np.random.default_rng(0)
    rule = Prosody(space(), **OPTIONS, length=40)
    for samples in rng.integers(500, CANVAS, size=5):
        cuts = np.sort(rng.integers(0, samples + 1, size=29))
        durations = np.diff(np.concatenate([[0], cuts, [samples]]))
        notes = {"phonemes": ["s"] * 30, "durations": durations}
        wave = Padded(np.zeros(CANVAS, np.float32), np.int32(samples))
        found = rule.extract(wave, notes)[:30]
        assert (found[:, 1] - 1).sum() == -(-samples // HOP)
        assert (found > 0).all()


def test_phoneme_without_a_frame_has_values_of_the_nearest():
    durations = np.array([2010, 20, 4470])
    notes = {"phonemes": ["ˈæ", "s", "ˈæ"], "durations": durations}
    found = Prosody(space(), **OPTIONS).extract(speech(), notes)
    assert found[1, 1] == 1 and found[1, 2] > 1
    assert found[1, 3] >= found[0, 3]


def test_default_output_space_has_all_symbols_and_bins():
    rule = Prosody(Array((32768,), -1.0, 1.0, padded=True))
    assert rule.output_space.shape == (64, 4)
    assert rule.output_space.vocab == 1 + len(SYMBOLS)
    assert len(set(SYMBOLS)) == len(SYMBOLS)
    assert rule.runs_on_host and not rule.invertible


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ({"phonemes": PHONEMES}, "data set does not have: use data set 'spoken_bible'"),
        (NOTES | {"phonemes": PHONEMES[:3]}, "has 3 phonemes and 4 durations"),
        (NOTES | {"durations": DURATIONS + 1}, "add up to 6504 samples, and its wave"),
        (NOTES | {"phonemes": ["_", "æ", "x", "s"]}, "phoneme 'æ' is not among"),
        (
            {"phonemes": ["s"] * 16, "durations": [6500] + [0] * 15},
            "16 phonemes, and at most 15 fit: raise the option length",
        ),
    ],
)
def test_invalid_metadata_raise_user_error(notes, message):
    with pytest.raises(UserError, match=message):
        Prosody(space(), **OPTIONS).extract(speech(), notes)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (Category(3), {}, r"needs a wave, an Array of samples, not Category\(3\)"),
        (Array((99, 2)), {}, r"not Array\(99, 2\)"),
        (space(), {"symbols": ()}, "symbols must be one or more phonemes"),
        (space(), {"symbols": ("a", "a")}, "none of them twice"),
        (space(), {"bins": 0}, "bins must be at least 1, not 0"),
        (space(), {"length": -1}, "length must be 0 or more, not -1"),
        (space(), {"lowest_pitch": 500.0}, "not 500.0, 400.0, 4000.0"),
    ],
)
def test_invalid_option_raises_value_error(y, options, message):
    with pytest.raises(ValueError, match=message):
        Prosody(y, **options)
