import dataclasses

import numpy as np
import pytest

from regen_jax.media.piano_roll import picture
from regen_jax.modalities.music.score import Note, Score

SOPRANO, ALTO = (213, 94, 0), (204, 121, 167)
SCORE = Score(
    (
        (Note(0, 2, 72), Note(4, 4, 76, fermata=True), Note(10, 2, 71)),
        (Note(0, 4, 60), Note(8, 4, 62)),
    ),
    *(2, (3, 4)),
)


def boxes(sheet, colour):
    """Left, right, top and bottom of what has a colour, from left to right."""
    mask = (sheet == colour).all(axis=-1)
    found, columns = [], np.flatnonzero(mask.any(axis=0))
    for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        rows = np.flatnonzero(mask[:, run].any(axis=1))
        found.append((run[0], run[-1], rows[0], rows[-1]))
    return found


def test_notes_stand_at_their_time_and_pitch():
    voice = (Note(0, 2, 72), Note(4, 4, 76), Note(10, 2, 71))
    sheet = picture(Score((voice,), 2, (3, 4)), width=644)
    assert sheet.dtype == np.uint8 and sheet.shape[1:] == (644, 3)
    first, second, third = boxes(sheet, SOPRANO)
    # Six beats of two steps: 50 pixels a step.
    assert second[0] - first[0] == 200 and third[0] - first[0] == 500
    assert second[1] - second[0] - (first[1] - first[0]) == 100
    semitone = third[2] - first[2]
    assert semitone > 3 and second[2] - first[2] == -4 * semitone
    # A dark edge is where a note begins.
    edge = sheet[first[2], first[0] - 1]
    np.testing.assert_array_equal(edge, [channel // 2 for channel in SOPRANO])


def test_a_fermata_is_a_sign_above_its_note():
    plain = dataclasses.replace(
        SCORE, voices=((Note(0, 2, 72), Note(4, 4, 76), Note(10, 2, 71)), ())
    )
    under = dataclasses.replace(SCORE, voices=(SCORE.voices[0], ()))
    rows, columns = np.nonzero((picture(plain) != picture(under)).any(axis=-1))
    note = boxes(picture(plain)[40:], SOPRANO)[1]
    assert rows.size and rows.max() < note[2] + 40 and rows.min() > note[2] + 20
    assert note[0] - 3 <= columns.min() and columns.max() < note[0] + 20


def test_both_voices_show_where_they_meet():
    voice = (Note(0, 4, 60),)
    sheet = picture(Score((voice, voice), 2))[40:]
    (upper,), (lower,) = boxes(sheet, SOPRANO), boxes(sheet, ALTO)
    assert upper[:2] == lower[:2]
    assert upper[3] + 1 == lower[2]


def test_rows_are_even_and_of_whole_bars():
    """Seven bars at most three beside each other: three, three and one."""
    voice = tuple(Note(step, 1, 60) for step in range(28))
    one, three = (picture(Score((voice,), 1), row=row, width=636) for row in (40, 15))
    assert three.shape[0] > 2.5 * one.shape[0]
    mask = (three == SOPRANO).all(axis=-1)
    starts = np.flatnonzero(np.diff(mask.any(axis=1).astype(int)) == 1)
    assert len(starts) == 3
    counts = [len(boxes(three[s : s + 12], SOPRANO)) for s in starts]
    assert counts == [12, 12, 4]


def test_a_note_goes_on_in_the_next_row():
    long, short = (
        picture(Score(((Note(3, length, 60), Note(7, 1, 60)),), 1), row=4)
        for length in (4, 1)
    )
    rows = np.flatnonzero((long != short).any(axis=(1, 2)))
    assert rows.min() > long.shape[0] / 2


def test_each_c_has_its_name_at_the_left():
    sheet = picture(Score(((Note(0, 4, 60), Note(4, 4, 84)),), 2))
    named = (sheet[:, :30] < 100).all(axis=-1).any(axis=1)
    low, high = boxes(sheet, SOPRANO)
    edges = np.flatnonzero(np.diff(named.astype(int)))
    middles = (edges[::2] + edges[1::2] + 1) / 2
    assert len(middles) == 3
    np.testing.assert_allclose(middles[[0, -1]], [high[2] + 3, low[2] + 3], atol=3)


def test_chords_and_syllables_are_written_beneath():
    def inked(sheet):
        """The columns of dark ink in the last line."""
        return np.flatnonzero((sheet[-26:] < 100).all(axis=(-1)).any(axis=0))

    plain = picture(SCORE, width=644)
    chords = ["C", "C", "G7", "G7", "C", "C"]
    under = picture(SCORE, chords=chords, width=644)
    assert not inked(plain).size and under.shape[0] > plain.shape[0]
    # C at the first beat, G7 at the third and C at the fifth, and nothing between.
    found = np.unique((inked(under) - 34) // 100)
    np.testing.assert_array_equal(found, [0, 2, 4])
    sung = tuple(dataclasses.replace(n, lyric="Größe") for n in SCORE.voices[0])
    both = dataclasses.replace(SCORE, voices=(sung, SCORE.voices[1]))
    assert picture(both, width=644, chords=chords).shape[0] > under.shape[0]
    found = np.unique((inked(picture(both, width=644)) - 34) // 100)
    np.testing.assert_array_equal(found, [0, 2, 5])


def test_a_long_name_moves_the_next_on():
    score = Score(((Note(0, 24, 60),),), 1)

    def inked(*chords):
        sheet = picture(score, chords=chords, width=600)
        return (sheet[-26:] < 100).all(axis=-1).any(axis=0)

    both, first, second = inked("WWW", "W"), inked("WWW", ""), inked("", "W")
    assert (first & second).any() and both.sum() == first.sum() + second.sum()


def test_another_score_is_drawn_as_frames():
    other = dataclasses.replace(SCORE, voices=((Note(0, 12, 66),),))
    sheet = picture(SCORE, other)
    assert sheet.shape == picture(SCORE).shape
    ink = (sheet == 40).all(axis=-1).sum(axis=1)
    assert np.count_nonzero(ink > 1_000) == 2
    wide = dataclasses.replace(other, voices=((Note(0, 24, 90),),))
    assert picture(SCORE, wide).shape[0] > sheet.shape[0]


@pytest.mark.parametrize("score", [Score(((),), 2), Score(((), ()), 4, (6, 8))])
def test_a_score_without_notes_is_an_empty_bar(score):
    sheet = picture(score)
    assert (sheet == 255).mean() > 0.8
    assert not (sheet == SOPRANO).all(axis=-1)[40:].any()
