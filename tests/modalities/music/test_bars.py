from fractions import Fraction

import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.music import bars


def one_metre(changes, first=0, end=32):
    """The metre and its first bar line, of changes (quarter notes, beats, unit)."""
    changes = [(Fraction(at), (beats, unit)) for at, beats, unit in changes]
    return bars.one_metre(changes, Fraction(first), Fraction(end), "file")


@pytest.mark.parametrize(
    ("metre", "division", "steps"),
    [
        *(((4, 4), 2, 8), ((3, 8), 2, 3), ((7, 8), 2, 7), ((7, 8), 1, None)),
        *(((2, 2), 1, 4), ((3, 16), 4, 3), ((3, 16), 2, None), ((12, 8), 4, 24)),
        *(((0, 4), 4, None), ((3, 2**255), 4, None), ((255, 1), 1, 1020)),
    ],
)
def test_a_bar_in_steps(metre, division, steps):
    assert bars.steps(metre, division) == steps
    if steps is not None:
        bars.check(metre, division, "file")


@pytest.mark.parametrize(
    ("metre", "division", "words"),
    [
        ((3, 16), 2, "steps of 1/8: set division=4"),
        ((3, 8), 1, "steps of 1/4: set division=2"),
        ((3, 32), 4, "steps of 1/16: write it in longer note values"),
        ((0, 4), 4, "does not fit: it has no beat"),
    ],
)
def test_a_bar_between_steps_names_the_division_that_has_it(metre, division, words):
    with pytest.raises(UserError, match=f"^file: the metre .*{words}$"):
        bars.check(metre, division, "file")


@pytest.mark.parametrize(
    ("changes", "metre", "bar_line"),
    [
        ([], (4, 4), 0),
        ([(0, 7, 8)], (7, 8), 0),
        ([(0, 3, 4), (12, 3, 4), (30, 3, 4)], (3, 4), 0),
        # An upbeat, said by its own metre, by a late first one, or by the same again.
        ([(0, 1, 4), (1, 4, 4)], (4, 4), -3),
        ([(0, 3, 8), (Fraction(3, 2), 6, 8)], (6, 8), Fraction(-3, 2)),
        ([(1, 4, 4)], (4, 4), -3),
        ([(0, 3, 4), (2, 3, 4)], (3, 4), -1),
        # The last bar completes it.
        ([(0, 1, 4), (1, 4, 4), (29, 3, 4)], (4, 4), -3),
        # Bars that are written as two, as at a repeat.
        ([(0, 1, 4), (1, 4, 4), (9, 3, 4), (12, 1, 4), (13, 4, 4)], (4, 4), -3),
        # After the end.
        ([(0, 4, 4), (32, 3, 4)], (4, 4), 0),
    ],
)
def test_the_metre_of_a_piece_and_its_bar_lines(changes, metre, bar_line):
    assert one_metre(changes) == (metre, bar_line)


def test_an_upbeat_to_a_bar_that_is_cut_short():
    assert one_metre([(0, 1, 4), (1, 4, 4)], end=2) == ((4, 4), -3)


def test_bars_before_the_first_note_do_not_count():
    assert one_metre([(0, 4, 4), (4, 3, 4)], first=4) == ((3, 4), 4)
    assert one_metre([(0, 4, 4), (4, 2, 4), (6, 3, 4)], first=7) == ((3, 4), 6)
    # In the same metre, silence is kept.
    assert one_metre([(0, 4, 4), (8, 4, 4)], first=8) == ((4, 4), 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [(0, 4, 4), (8, 3, 4)],
            "bar 3: the metre changes from 4/4 to 3/4: only one metre",
        ),
        ([(0, 4, 4), (28, 3, 4)], "bar 8: the metre changes from 4/4 to 3/4"),
        ([(8, 3, 4)], "bar 3: the metre changes from 4/4 to 3/4"),
        (
            [(0, 4, 4), (12, 3, 4), (15, 4, 4)],
            "bar 4: the metre changes from 4/4 to 3/4",
        ),
        (
            [(0, 4, 4), (12, 2, 4), (16, 4, 4)],
            "bar 4: the metre changes from 4/4 to 2/4",
        ),
        ([(0, 2, 4), (4, 4, 4)], "bar 3: the metre changes from 2/4 to 4/4"),
        (
            [(0, 1, 4), (1, 4, 4), (29, 2, 4)],
            "bar 9: the metre changes from 4/4 to 2/4",
        ),
        ([(0, 4, 4), (10, 4, 4)], "bar 3: the metre 4/4 begins again within a bar"),
        ([(0, 4, 4), (12, 0, 4)], "the metre 0/4 does not fit: it has no beat"),
    ],
)
def test_a_metre_that_changes_is_refused_with_its_bar(changes, words):
    with pytest.raises(UserError, match=f"^file: {words}"):
        one_metre(changes)
