import dataclasses

import numpy as np
import pytest

from regen_jax.media.piano_roll import render_piano_roll
from regen_jax.modalities.music.score import Note, Score

SOPRANO, ALTO = (213, 94, 0), (204, 121, 167)
SCORE = Score(
    (
        (Note(0, 2, 72), Note(4, 4, 76, fermata=True), Note(10, 2, 71)),
        (Note(0, 4, 60), Note(8, 4, 62)),
    ),
    *(2, (3, 4)),
)


def boxes(image, color):
    """Returns left, right, top and bottom of areas of a color, from left to right."""
    mask = (image == color).all(axis=-1)
    areas, columns = [], np.flatnonzero(mask.any(axis=0))
    for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
        rows = np.flatnonzero(mask[:, run].any(axis=1))
        areas.append((run[0], run[-1], rows[0], rows[-1]))
    return areas


def test_notes_are_drawn_at_their_time_and_pitch():
    voice = (Note(0, 2, 72), Note(4, 4, 76), Note(10, 2, 71))
    image = render_piano_roll(Score((voice,), 2, (3, 4)), width=644)
    assert image.dtype == np.uint8 and image.shape[1:] == (644, 3)
    first, second, third = boxes(image, SOPRANO)
    # Six beats of two steps: 50 pixels a step.
    assert second[0] - first[0] == 200 and third[0] - first[0] == 500
    assert second[1] - second[0] - (first[1] - first[0]) == 100
    semitone = third[2] - first[2]
    assert semitone > 3 and second[2] - first[2] == -4 * semitone
    # A note has a dark edge at its onset.
    edge = image[first[2], first[0] - 1]
    np.testing.assert_array_equal(edge, [channel // 2 for channel in SOPRANO])


def test_fermata_is_drawn_above_its_note():
    plain = dataclasses.replace(
        SCORE, voices=((Note(0, 2, 72), Note(4, 4, 76), Note(10, 2, 71)), ())
    )
    under = dataclasses.replace(SCORE, voices=(SCORE.voices[0], ()))
    rows, columns = np.nonzero(
        (render_piano_roll(plain) != render_piano_roll(under)).any(axis=-1)
    )
    note = boxes(render_piano_roll(plain)[40:], SOPRANO)[1]
    assert rows.size and rows.max() < note[2] + 40 and rows.min() > note[2] + 20
    assert note[0] - 3 <= columns.min() and columns.max() < note[0] + 20


def test_voices_that_meet_are_both_visible():
    voice = (Note(0, 4, 60),)
    image = render_piano_roll(Score((voice, voice), 2))[40:]
    (upper,), (lower,) = boxes(image, SOPRANO), boxes(image, ALTO)
    assert upper[:2] == lower[:2]
    assert upper[3] + 1 == lower[2]


def test_rows_have_equal_numbers_of_whole_bars():
    """Seven bars, at most three per row, are three, three and one."""
    voice = tuple(Note(step, 1, 60) for step in range(28))
    one_row, three_rows = (
        render_piano_roll(Score((voice,), 1), beats_per_row=beats, width=636)
        for beats in (40, 15)
    )
    assert three_rows.shape[0] > 2.5 * one_row.shape[0]
    mask = (three_rows == SOPRANO).all(axis=-1)
    starts = np.flatnonzero(np.diff(mask.any(axis=1).astype(int)) == 1)
    assert len(starts) == 3
    counts = [len(boxes(three_rows[s : s + 12], SOPRANO)) for s in starts]
    assert counts == [12, 12, 4]


def test_note_continues_in_the_next_row():
    long, short = (
        render_piano_roll(
            Score(((Note(3, length, 60), Note(7, 1, 60)),), 1), beats_per_row=4
        )
        for length in (4, 1)
    )
    rows = np.flatnonzero((long != short).any(axis=(1, 2)))
    assert rows.min() > long.shape[0] / 2


def test_each_c_is_labeled_at_the_left():
    image = render_piano_roll(Score(((Note(0, 4, 60), Note(4, 4, 84)),), 2))
    named = (image[:, :30] < 100).all(axis=-1).any(axis=1)
    low, high = boxes(image, SOPRANO)
    edges = np.flatnonzero(np.diff(named.astype(int)))
    middles = (edges[::2] + edges[1::2] + 1) / 2
    assert len(middles) == 3
    np.testing.assert_allclose(middles[[0, -1]], [high[2] + 3, low[2] + 3], atol=3)


def test_chords_and_lyrics_are_written_below_the_row():
    def inked(image):
        """Returns the columns of dark ink in the last line."""
        return np.flatnonzero((image[-26:] < 100).all(axis=(-1)).any(axis=0))

    plain = render_piano_roll(SCORE, width=644)
    chords = ["C", "C", "G7", "G7", "C", "C"]
    under = render_piano_roll(SCORE, chords=chords, width=644)
    assert not inked(plain).size and under.shape[0] > plain.shape[0]
    # C at the first beat, G7 at the third and C at the fifth, and nothing between.
    columns = np.unique((inked(under) - 34) // 100)
    np.testing.assert_array_equal(columns, [0, 2, 4])
    sung = tuple(dataclasses.replace(n, lyric="Größe") for n in SCORE.voices[0])
    both = dataclasses.replace(SCORE, voices=(sung, SCORE.voices[1]))
    assert render_piano_roll(both, width=644, chords=chords).shape[0] > under.shape[0]
    columns = np.unique((inked(render_piano_roll(both, width=644)) - 34) // 100)
    np.testing.assert_array_equal(columns, [0, 2, 5])


def test_long_text_moves_the_next_to_the_right():
    score = Score(((Note(0, 24, 60),),), 1)

    def inked(*chords):
        image = render_piano_roll(score, chords=chords, width=600)
        return (image[-26:] < 100).all(axis=-1).any(axis=0)

    both, first, second = inked("WWW", "W"), inked("WWW", ""), inked("", "W")
    assert (first & second).any() and both.sum() == first.sum() + second.sum()


def test_reference_is_drawn_as_outlines():
    other = dataclasses.replace(SCORE, voices=((Note(0, 12, 66),),))
    image = render_piano_roll(SCORE, other)
    assert image.shape == render_piano_roll(SCORE).shape
    ink = (image == 40).all(axis=-1).sum(axis=1)
    assert np.count_nonzero(ink > 1_000) == 2
    wide = dataclasses.replace(other, voices=((Note(0, 24, 90),),))
    assert render_piano_roll(SCORE, wide).shape[0] > image.shape[0]


@pytest.mark.parametrize("score", [Score(((),), 2), Score(((), ()), 4, (6, 8))])
def test_score_without_notes_is_an_empty_bar(score):
    image = render_piano_roll(score)
    assert (image == 255).mean() > 0.8
    assert not (image == SOPRANO).all(axis=-1)[40:].any()
