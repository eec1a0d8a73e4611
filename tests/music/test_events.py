import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.music import events
from regen_jax.spaces import Tokens

IDS = st.lists(
    st.sampled_from([0, 1, 2, 10, 27, 51, 60, 76, 100]), min_size=1, max_size=20
)


def ids(text):
    return np.array([events.SYMBOLS.index(symbol) for symbol in text.split()])


def test_the_table_of_symbols():
    assert len(events.SYMBOLS) == len(set(events.SYMBOLS)) == 3 + 2 * 49
    assert events.SYMBOLS[:4] == ("", "-", "r", "C2")
    assert events.SYMBOLS[51:53] == ("C6", "C2^") and events.SYMBOLS[-1] == "C6^"
    assert events.SYMBOLS[events.note(60)] == "C4"
    assert events.SYMBOLS[events.note(61)] == "C#4"
    assert events.SYMBOLS[events.note(69, fermata=True)] == "A4^"
    assert [events.name(pitch) for pitch in (0, 59, 60, 127)] == [
        *("C-1", "B3", "C4", "G9")
    ]


@pytest.mark.parametrize("pitch", [35, 85])
def test_a_pitch_without_symbol_is_refused(pitch):
    with pytest.raises(ValueError, match=rf"pitch {pitch} .* 84 \(C2 to C6\)"):
        events.note(pitch)


def test_the_space_is_known_again():
    assert events.space(8).shape == (8,) and events.space(8, 4).shape == (8, 4)
    assert events.is_space(events.space(8, 4))
    assert not events.is_space(Tokens(8, 101, padded=True))


def test_readings_by_hand():
    score = ids("- C4 - r - G4^ - A4")
    np.testing.assert_array_equal(events.onsets(score), [0, 60, 0, 0, 0, 67, 0, 69])
    np.testing.assert_array_equal(events.sounding(score), [0, 60, 60, 0, 0, 67, 67, 69])
    np.testing.assert_array_equal(np.flatnonzero(events.begins(score)), [1, 5, 7])
    np.testing.assert_array_equal(np.flatnonzero(events.fermatas(score)), [5])
    np.testing.assert_array_equal(
        events.transpose(score, -2), ids("- A#3 - r - F4^ - G4")
    )


@settings(max_examples=30, deadline=None)
@given(IDS, IDS)
def test_what_sounds_is_what_a_player_would_hold(first, second):
    size = min(len(first), len(second))
    score = np.stack([first[:size], second[:size]], axis=1)
    expected = np.zeros_like(score)
    for voice in range(2):
        held = 0
        for step, one in enumerate(score[:, voice]):
            symbol = events.SYMBOLS[one].removesuffix("^")
            if symbol != "-":
                held = {"": 0, "r": 0}.get(symbol)
            if held is None:
                octave = int(symbol[-1])
                held = 12 * octave + 12 + events.PITCH_CLASSES.index(symbol[:-1])
            expected[step, voice] = held
    np.testing.assert_array_equal(events.sounding(score), expected)


@settings(max_examples=30, deadline=None)
@given(IDS, st.integers(-60, 60))
def test_transposing_moves_what_sounds_or_is_refused(score, semitones):
    score = np.array(score)
    pitches = events.onsets(score)[events.begins(score)] + semitones
    if all(36 <= pitch <= 84 for pitch in pitches):
        moved = events.transpose(score, semitones)
        before, after = events.sounding(score), events.sounding(moved)
        np.testing.assert_array_equal(after, np.where(before, before + semitones, 0))
        np.testing.assert_array_equal(events.fermatas(moved), events.fermatas(score))
        np.testing.assert_array_equal(events.transpose(moved, -semitones), score)
    else:
        with pytest.raises(ValueError, match="semitones lead out of C2 to C6"):
            events.transpose(score, semitones)
