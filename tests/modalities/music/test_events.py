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


def test_symbols_are_padding_rest_onsets_fermatas_and_continuations():
    assert len(events.SYMBOLS) == len(set(events.SYMBOLS)) == 2 + 3 * 49
    assert events.SYMBOLS[:4] == ("", "r", "C2", "C#2")
    assert events.SYMBOLS[50:52] == ("C6", "C2^")
    assert events.SYMBOLS[99:101] == ("C6^", "C2-") and events.SYMBOLS[-1] == "C6-"
    assert events.SYMBOLS[events.PADDING] == "" and events.SYMBOLS[events.REST] == "r"
    assert events.SYMBOLS[events.note_id(60)] == "C4"
    assert events.SYMBOLS[events.note_id(61)] == "C#4"
    assert events.SYMBOLS[events.note_id(69, fermata=True)] == "A4^"
    assert events.SYMBOLS[events.sustained_id(70)] == "A#4-"
    assert [events.pitch_name(pitch) for pitch in (0, 59, 60, 127)] == [
        *("C-1", "B3", "C4", "G9")
    ]


@pytest.mark.parametrize("pitch", [35, 85])
@pytest.mark.parametrize("symbol", [events.note_id, events.sustained_id])
def test_pitch_without_symbol_raises_value_error(symbol, pitch):
    with pytest.raises(ValueError, match=rf"pitch {pitch} .* 84 \(C2 to C6\)"):
        symbol(pitch)


def test_score_space_is_recognized():
    assert events.space(8).shape == (8,) and events.space(8, 4).shape == (8, 4)
    assert events.is_space(events.space(8, 4))
    assert not events.is_space(Tokens(8, 149, padded=True))


def test_attributes_of_known_ids():
    score = ids("r C4 C4- r r G4^ G4- A4 A4")
    np.testing.assert_array_equal(
        events.onset_pitches(score), [0, 60, 0, 0, 0, 67, 0, 69, 69]
    )
    np.testing.assert_array_equal(
        events.sounding_pitches(score), [0, 60, 60, 0, 0, 67, 67, 69, 69]
    )
    np.testing.assert_array_equal(
        np.flatnonzero(events.onset_mask(score)), [1, 5, 7, 8]
    )
    np.testing.assert_array_equal(np.flatnonzero(events.fermata_mask(score)), [5])
    np.testing.assert_array_equal(
        events.transpose(score, -2), ids("r A#3 A#3- r r F4^ F4- G4 G4")
    )


def test_continuation_of_another_pitch_is_an_onset():
    score = np.stack([ids("C4- C4- D4- r D4- C5-"), ids("E4 D4- D4^ D4- D4 D4-")], 1)
    expected = [[60, 0, 62, 0, 62, 72], [64, 62, 62, 0, 62, 0]]
    np.testing.assert_array_equal(events.onset_pitches(score).T, expected)
    np.testing.assert_array_equal(events.onset_mask(score).T, np.array(expected) > 0)
    padded = [events.sustained_id(60), events.PADDING, events.sustained_id(60)]
    np.testing.assert_array_equal(events.onset_pitches(padded), [60, 0, 60])
    assert events.onset_pitches(score[:0]).shape == (0, 2)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
@pytest.mark.parametrize("function", [events.onset_mask, events.onset_pitches])
def test_batch_equals_its_scores(function, shape):
    # Few ids, so that notes continue, also from one score to the next.
    ids = [0, 1, events.note_id(60), events.sustained_id(60), events.sustained_id(62)]
    batch = np.random.default_rng(0).choice(ids, shape)
    expected = np.stack([function(score) for score in batch])
    np.testing.assert_array_equal(function(batch, axis=1), expected)
    assert (function(batch) != expected).any()


def player(symbols):
    """Returns the pitch and onset of each step of a voice by a plain loop."""
    steps, pitch = [], 0
    for symbol in symbols:
        previous, pitch, continues = pitch, 0, False
        if symbol not in ("", "r"):
            continues = symbol.endswith("-")
            name = symbol.rstrip("^-")
            pitch = 12 * int(name[-1]) + 12 + events.PITCH_CLASSES.index(name[:-1])
        steps.append((pitch, pitch > 0 and not (continues and pitch == previous)))
    return np.array(steps).T


@settings(max_examples=30, deadline=None)
@given(IDS, IDS)
def test_pitches_and_onsets_equal_plain_loop(first, second):
    size = min(len(first), len(second))
    score = np.stack([first[:size], second[:size]], axis=1)
    for voice, column in enumerate(score.T):
        sounds, begins = player([events.SYMBOLS[index] for index in column])
        np.testing.assert_array_equal(events.sounding_pitches(score)[:, voice], sounds)
        np.testing.assert_array_equal(events.onset_mask(score)[:, voice], begins)


@settings(max_examples=30, deadline=None)
@given(IDS, st.integers(-60, 60))
def test_transposition_moves_pitches_or_raises_value_error(score, semitones):
    score = np.array(score)
    before = events.sounding_pitches(score)
    if all(36 <= pitch <= 84 for pitch in before[before > 0] + semitones):
        moved = events.transpose(score, semitones)
        after = events.sounding_pitches(moved)
        np.testing.assert_array_equal(after, np.where(before, before + semitones, 0))
        for mask in (events.fermata_mask, events.onset_mask):
            np.testing.assert_array_equal(mask(moved), mask(score))
        np.testing.assert_array_equal(events.transpose(moved, -semitones), score)
    else:
        with pytest.raises(ValueError, match="semitones lead out of C2 to C6"):
            events.transpose(score, semitones)
