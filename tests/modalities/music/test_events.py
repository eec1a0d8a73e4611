import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.modalities.music import events
from regen_jax.spaces import Tokens

IDS = st.lists(
    st.sampled_from([0, 1, 2, 10, 26, 50, 51, 75, 99, 100, 108, 124, 148]),
    min_size=1,
    max_size=20,
)


def ids(text):
    return np.array([events.SYMBOLS.index(symbol) for symbol in text.split()])


def test_the_table_of_symbols():
    assert len(events.SYMBOLS) == len(set(events.SYMBOLS)) == 2 + 3 * 49
    assert events.SYMBOLS[:4] == ("", "r", "C2", "C#2")
    assert events.SYMBOLS[50:52] == ("C6", "C2^")
    assert events.SYMBOLS[99:101] == ("C6^", "C2-") and events.SYMBOLS[-1] == "C6-"
    assert events.SYMBOLS[events.PADDING] == "" and events.SYMBOLS[events.REST] == "r"
    assert events.SYMBOLS[events.note(60)] == "C4"
    assert events.SYMBOLS[events.note(61)] == "C#4"
    assert events.SYMBOLS[events.note(69, fermata=True)] == "A4^"
    assert events.SYMBOLS[events.sustained(70)] == "A#4-"
    assert [events.name(pitch) for pitch in (0, 59, 60, 127)] == [
        *("C-1", "B3", "C4", "G9")
    ]


@pytest.mark.parametrize("pitch", [35, 85])
@pytest.mark.parametrize("symbol", [events.note, events.sustained])
def test_a_pitch_without_symbol_is_refused(symbol, pitch):
    with pytest.raises(ValueError, match=rf"pitch {pitch} .* 84 \(C2 to C6\)"):
        symbol(pitch)


def test_the_space_is_known_again():
    assert events.space(8).shape == (8,) and events.space(8, 4).shape == (8, 4)
    assert events.is_space(events.space(8, 4))
    assert not events.is_space(Tokens(8, 149, padded=True))


def test_readings_by_hand():
    score = ids("r C4 C4- r r G4^ G4- A4 A4")
    np.testing.assert_array_equal(events.onsets(score), [0, 60, 0, 0, 0, 67, 0, 69, 69])
    np.testing.assert_array_equal(
        events.sounding(score), [0, 60, 60, 0, 0, 67, 67, 69, 69]
    )
    np.testing.assert_array_equal(np.flatnonzero(events.begins(score)), [1, 5, 7, 8])
    np.testing.assert_array_equal(np.flatnonzero(events.fermatas(score)), [5])
    np.testing.assert_array_equal(
        events.transpose(score, -2), ids("r A#3 A#3- r r F4^ F4- G4 G4")
    )


def test_what_goes_on_but_did_not_sound_begins():
    score = np.stack([ids("C4- C4- D4- r D4- C5-"), ids("E4 D4- D4^ D4- D4 D4-")], 1)
    expected = [[60, 0, 62, 0, 62, 72], [64, 62, 62, 0, 62, 0]]
    np.testing.assert_array_equal(events.onsets(score).T, expected)
    np.testing.assert_array_equal(events.begins(score).T, np.array(expected) > 0)
    padded = [events.sustained(60), events.PADDING, events.sustained(60)]
    np.testing.assert_array_equal(events.onsets(padded), [60, 0, 60])
    assert events.onsets(score[:0]).shape == (0, 2)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
@pytest.mark.parametrize("read", [events.begins, events.onsets])
def test_a_batch_is_read_as_its_scores(read, shape):
    # Few ids, so that notes do go on; and whole scores follow one another unheard.
    some = [0, 1, events.note(60), events.sustained(60), events.sustained(62)]
    batch = np.random.default_rng(0).choice(some, shape)
    expected = np.stack([read(score) for score in batch])
    np.testing.assert_array_equal(read(batch, axis=1), expected)
    assert (read(batch) != expected).any()


def player(symbols):
    """For each step of a voice, its pitch and whether it begins there, by a plain loop."""
    found, held = [], 0
    for symbol in symbols:
        before, held, goes_on = held, 0, False
        if symbol not in ("", "r"):
            goes_on = symbol.endswith("-")
            name = symbol.rstrip("^-")
            held = 12 * int(name[-1]) + 12 + events.PITCH_CLASSES.index(name[:-1])
        found.append((held, held > 0 and not (goes_on and held == before)))
    return np.array(found).T


@settings(max_examples=30, deadline=None)
@given(IDS, IDS)
def test_what_sounds_and_begins_is_what_a_player_would_play(first, second):
    size = min(len(first), len(second))
    score = np.stack([first[:size], second[:size]], axis=1)
    for voice, column in enumerate(score.T):
        sounds, begins = player([events.SYMBOLS[one] for one in column])
        np.testing.assert_array_equal(events.sounding(score)[:, voice], sounds)
        np.testing.assert_array_equal(events.begins(score)[:, voice], begins)


@settings(max_examples=30, deadline=None)
@given(IDS, st.integers(-60, 60))
def test_transposing_moves_what_sounds_or_is_refused(score, semitones):
    score = np.array(score)
    before = events.sounding(score)
    if all(36 <= pitch <= 84 for pitch in before[before > 0] + semitones):
        moved = events.transpose(score, semitones)
        after = events.sounding(moved)
        np.testing.assert_array_equal(after, np.where(before, before + semitones, 0))
        for same in (events.fermatas, events.begins):
            np.testing.assert_array_equal(same(moved), same(score))
        np.testing.assert_array_equal(events.transpose(moved, -semitones), score)
    else:
        with pytest.raises(ValueError, match="semitones lead out of C2 to C6"):
            events.transpose(score, semitones)
