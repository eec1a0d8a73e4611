from fractions import Fraction

import pytest

from regen_jax.errors import UserError
from regen_jax.modalities.music import bars


def find_meter(changes, first=0, end=32):
    """Finds the meter and first bar line of changes (quarter notes, beats, unit)."""
    changes = [(Fraction(at), (beats, unit)) for at, beats, unit in changes]
    return bars.find_meter(changes, Fraction(first), Fraction(end), "file")


@pytest.mark.parametrize(
    ("meter", "division", "steps"),
    [
        *(((4, 4), 2, 8), ((3, 8), 2, 3), ((7, 8), 2, 7), ((7, 8), 1, None)),
        *(((2, 2), 1, 4), ((3, 16), 4, 3), ((3, 16), 2, None), ((12, 8), 4, 24)),
        *(((0, 4), 4, None), ((3, 2**255), 4, None), ((255, 1), 1, 1020)),
    ],
)
def test_bar_has_a_number_of_steps(meter, division, steps):
    assert bars.steps(meter, division) == steps
    if steps is not None:
        bars.check(meter, division, "file")


@pytest.mark.parametrize(
    ("meter", "division", "words"),
    [
        ((3, 16), 2, "steps of 1/8: set division=4"),
        ((3, 8), 1, "steps of 1/4: set division=2"),
        ((3, 32), 4, "steps of 1/16: write it in longer note values"),
        ((0, 4), 4, "does not fit: it has no beat"),
    ],
)
def test_bar_of_no_whole_steps_raises_user_error_with_a_division(
    meter, division, words
):
    with pytest.raises(UserError, match=f"^file: the meter .*{words}$"):
        bars.check(meter, division, "file")


@pytest.mark.parametrize(
    ("changes", "meter", "bar_line"),
    [
        ([], (4, 4), 0),
        ([(0, 7, 8)], (7, 8), 0),
        ([(0, 3, 4), (12, 3, 4), (30, 3, 4)], (3, 4), 0),
        # An upbeat: by its own meter, by a late first meter, or by the same meter again.
        ([(0, 1, 4), (1, 4, 4)], (4, 4), -3),
        ([(0, 3, 8), (Fraction(3, 2), 6, 8)], (6, 8), Fraction(-3, 2)),
        ([(1, 4, 4)], (4, 4), -3),
        ([(0, 3, 4), (2, 3, 4)], (3, 4), -1),
        # The last bar completes it.
        ([(0, 1, 4), (1, 4, 4), (29, 3, 4)], (4, 4), -3),
        # Bars that are split into two, as at a repeat.
        ([(0, 1, 4), (1, 4, 4), (9, 3, 4), (12, 1, 4), (13, 4, 4)], (4, 4), -3),
        # After the end.
        ([(0, 4, 4), (32, 3, 4)], (4, 4), 0),
    ],
)
def test_meter_and_first_bar_line_are_found(changes, meter, bar_line):
    assert find_meter(changes) == (meter, bar_line)


def test_upbeat_to_an_incomplete_bar_is_found():
    assert find_meter([(0, 1, 4), (1, 4, 4)], end=2) == ((4, 4), -3)


def test_bars_before_the_first_note_are_ignored():
    assert find_meter([(0, 4, 4), (4, 3, 4)], first=4) == ((3, 4), 4)
    assert find_meter([(0, 4, 4), (4, 2, 4), (6, 3, 4)], first=7) == ((3, 4), 6)
    # In the same meter, silence is kept.
    assert find_meter([(0, 4, 4), (8, 4, 4)], first=8) == ((4, 4), 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [(0, 4, 4), (8, 3, 4)],
            "bar 3: the meter changes from 4/4 to 3/4: only one meter",
        ),
        ([(0, 4, 4), (28, 3, 4)], "bar 8: the meter changes from 4/4 to 3/4"),
        ([(8, 3, 4)], "bar 3: the meter changes from 4/4 to 3/4"),
        (
            [(0, 4, 4), (12, 3, 4), (15, 4, 4)],
            "bar 4: the meter changes from 4/4 to 3/4",
        ),
        (
            [(0, 4, 4), (12, 2, 4), (16, 4, 4)],
            "bar 4: the meter changes from 4/4 to 2/4",
        ),
        ([(0, 2, 4), (4, 4, 4)], "bar 3: the meter changes from 2/4 to 4/4"),
        (
            [(0, 1, 4), (1, 4, 4), (29, 2, 4)],
            "bar 9: the meter changes from 4/4 to 2/4",
        ),
        ([(0, 4, 4), (10, 4, 4)], "bar 3: the meter 4/4 begins again within a bar"),
        ([(0, 4, 4), (12, 0, 4)], "the meter 0/4 does not fit: it has no beat"),
    ],
)
def test_change_of_meter_raises_user_error_with_its_bar(changes, words):
    with pytest.raises(UserError, match=f"^file: {words}"):
        find_meter(changes)
