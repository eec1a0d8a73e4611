import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.errors import UserError
from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import (
    Note,
    Score,
    fifths,
    from_events,
    key_from_fifths,
    position_name,
    scale,
    to_events,
    voice_names,
)


@st.composite
def voices(draw):
    """Draws consecutive notes, some with silence between them."""
    notes, now = [], 0
    for rest, duration, pitch, fermata in draw(
        st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(1, 5),
                st.integers(36, 84),
                st.booleans(),
            ),
            min_size=1,
            max_size=6,
        )
    ):
        notes.append(Note(now + rest, duration, pitch, fermata))
        now = notes[-1].end
    return tuple(notes)


def symbols(ids):
    return [events.SYMBOLS[index] for index in ids]


@settings(max_examples=40, deadline=None)
@given(st.lists(voices(), min_size=1, max_size=4), st.integers(0, 5))
def test_from_events_inverts_to_events(parts, spare):
    score = Score(tuple(parts), 2, (3, 4), "f#")
    ids = to_events(score, score.length + spare)
    assert ids.shape == (score.length + spare, len(parts))[: 1 + (len(parts) > 1)]
    assert ids.dtype == np.int32 and (ids[score.length :] == 0).all()
    assert (ids[: score.length] != 0).all()
    assert from_events(ids, 2, (3, 4), "f#") == score


def test_events_of_a_known_score():
    high = (Note(1, 2, 60), Note(3, 1, 62, True))
    low = (Note(0, 1, 48), Note(3, 3, 36))
    ids = to_events(Score((high, low), 1), 8)
    assert symbols(ids[:, 0]) == ["r", "C4", "C4-", "D4^", "r", "r", "", ""]
    assert symbols(ids[:, 1]) == ["C3", "r", "r", "C2", "C2-", "C2-", "", ""]


def test_trailing_silence_is_not_part_of_the_score():
    ids = [events.note_id(60), events.sustained_id(60), 1, 1, 0, events.note_id(62)]
    assert from_events(ids, 1).voices == ((Note(0, 2, 60),),)
    assert from_events([1, 1], 1).voices == ((),)


def test_continuations_extend_a_note():
    fermata, sustained = events.note_id(60, fermata=True), events.sustained_id(60)
    ids = [
        *(sustained, sustained, fermata, sustained),
        *(events.sustained_id(62), events.REST, sustained),
    ]
    assert from_events(ids, 1).voices[0] == (
        *(Note(0, 2, 60), Note(2, 2, 60, True), Note(4, 1, 62), Note(6, 1, 60)),
    )


def test_lyrics_are_those_of_the_first_voice():
    ids = np.full((3, 2), events.note_id(60))
    first, second = from_events(ids, 1, lyrics=["Lo-", "be"]).voices
    assert [note.lyric for note in first] == ["Lo-", "be", ""]
    assert [note.lyric for note in second] == [""] * 3


@pytest.mark.parametrize(
    ("notes", "steps", "message"),
    [
        ((), 8, "the score has no notes"),
        ((Note(0, 9, 60),), 8, "has 9 steps of 1/8: at most 8 fit"),
        ((Note(7, 1, 85),), 8, "voice 1, bar 2, beat 1.5: pitch 85 is outside 36 to"),
    ],
)
def test_score_without_events_raises_user_error(notes, steps, message):
    with pytest.raises(UserError, match=message):
        to_events(Score((notes,), 2, (3, 4)), steps)


def test_coarsened_score_of_known_notes():
    sixteenths = (
        Note(0, 4, 60),
        # The second of two is lost; its fermata and lyric move to the first.
        Note(4, 1, 62, lyric="a"),
        Note(5, 1, 64, fermata=True, lyric="b"),
        Note(6, 3, 65),
        Note(9, 1, 67, lyric="c"),
        # A dotted eighth ends where its sixteenth would begin.
        Note(10, 3, 69),
        Note(13, 1, 71),
        # Nothing sounds at the step of this one.
        Note(17, 1, 72, fermata=True),
    )
    score = Score((sixteenths,), 4, (3, 4), "G")
    assert score.coarsen(4) is score
    assert score.coarsen(2) == Score(
        (
            (
                Note(0, 2, 60),
                Note(2, 1, 62, True, "a"),
                Note(3, 2, 65, lyric="c"),
                Note(5, 2, 69),
            ),
        ),
        *(2, (3, 4), "G"),
    )
    with pytest.raises(ValueError, match="division 3 does not divide 4"):
        score.coarsen(3)


@settings(max_examples=30, deadline=None)
@given(voices())
def test_coarsened_score_samples_the_first_of_its_steps(voice):
    score = Score((voice,), 4)
    fine = events.sounding_pitches(to_events(score, score.length))
    coarse = score.coarsen(2)
    if coarse.length:
        pitches = events.sounding_pitches(to_events(coarse, len(fine[::2])))
        np.testing.assert_array_equal(pitches, fine[::2])
    else:
        assert not fine[::2].any()


def test_positions_count_bars_and_beats_from_1():
    assert position_name(0, 2, (4, 4)) == "bar 1, beat 1"
    assert position_name(11, 2, (4, 4)) == "bar 2, beat 2.5"
    assert position_name(3, 2, (3, 8)) == "bar 2, beat 1"


def test_voices_are_named_by_their_number():
    assert voice_names(1) == ("Melody",)
    assert voice_names(4)[2] == "Tenor" and voice_names(2)[1] == "Voice 2"


def test_scale_of_a_key_or_value_error():
    assert scale("D") == (2, 4, 6, 7, 9, 11, 1)
    assert set(scale("a")) == {9, 11, 0, 2, 4, 5, 7, 6, 8}
    for key in ("", "H", "Bb", "b#"):
        with pytest.raises(ValueError, match="there is no key"):
            scale(key)


def test_key_signatures_have_the_notes_of_the_scale():
    """A signature raises F, C, G …, or lowers B, E, A …; the result is the scale."""
    for tonic in events.PITCH_CLASSES:
        for key in (tonic, tonic.lower()):
            sharps, minor = fifths(key), key.islower()
            assert -5 <= sharps <= 6 and key_from_fifths(sharps, minor) == key
            pitches = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
            for letter in "FCGDAEB"[: max(0, sharps)]:
                pitches[letter] += 1
            for letter in "BEADGCF"[: max(0, -sharps)]:
                pitches[letter] -= 1
            root = scale(key)[0]
            raised = {(root + 9) % 12, (root + 11) % 12} if minor else set()
            assert {p % 12 for p in pitches.values()} == set(scale(key)) - raised
    assert key_from_fifths(-6) == "F#" and key_from_fifths(7, minor=True) == "a#"


def test_scores_are_hashable_by_value():
    score = Score(((Note(0, 1, 60),),), 2)
    assert hash(score) == hash(dataclasses.replace(score)) and score.length == 1
