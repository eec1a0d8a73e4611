"""Bars of a score: their length in steps, and the metre of a file."""

import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from regen_jax.errors import UserError

DIVISIONS = (1, 2, 4)
"""Choices of steps per quarter note; data sets store sixteenths."""

Metre = tuple[int, int]
"""Time signature: beats per bar, and the note value of a beat."""

logger = logging.getLogger("regen_jax")


def quarters(metre: Metre) -> Fraction:
    """The length of a bar in quarter notes."""
    return Fraction(4 * metre[0], metre[1])


def steps(metre: Metre, division: int) -> int | None:
    """Returns the length of a bar in steps; None if that is 0 or not a whole number."""
    length = quarters(metre) * division
    return int(length) if length and length.denominator == 1 else None


def check(metre: Metre, division: int, what: str) -> None:
    """Raises a UserError, which begins with `what`, unless a bar has whole steps."""
    if steps(metre, division) is not None:
        return
    beats, unit = metre
    if not beats:
        raise UserError(
            f"{what}: the metre {beats}/{unit} does not fit: it has no beat"
        )
    fitting = [str(one) for one in DIVISIONS if steps(metre, one) is not None]
    advice = (
        f"set division={fitting[0]}" if fitting else "write it in longer note values"
    )
    raise UserError(
        f"{what}: the metre {beats}/{unit} does not fit: a bar needs a whole number of "
        f"steps of 1/{4 * division}: {advice}"
    )


def one_metre(
    changes: Sequence[tuple[Fraction, Metre]], first: Fraction, end: Fraction, what: str
) -> tuple[Metre, Fraction]:
    """Returns the metre of a piece and the time of its first bar line.

    The metre is that of most of the piece. Other metres are allowed before the first note,
    in an upbeat (a shorter first bar), in the last bar that completes it, and where a bar
    is written as several, as at a repeat. The first bar line of a piece with an upbeat is
    that of a whole bar which the upbeat ends, so its time may be negative.

    Args:
      changes: time in quarter notes and metre from there, in order. 4/4 before them.
      first: time of the first note.
      end: time when the last note ends.
      what: the beginning of errors.

    Raises:
      UserError: a metre has no beats, or the metre changes.
    """
    changes = [change for change in changes if change[0] < end or change[0] <= first]
    if not changes or changes[0][0] > 0:
        changes.insert(0, (Fraction(0), (4, 4)))
    for _, metre in changes:
        if not metre[0]:
            check(metre, 1, what)
    starts = [start for start, _ in changes]
    spans = [
        _Span(start, until, metre)
        for (start, metre), until in zip(
            changes, [*starts[1:], max(end, starts[-1])], strict=True
        )
    ]
    main = _longest(spans, first)
    while (
        len(spans) > 1
        and spans[1].start <= first
        and (spans[0].metre != main or spans[0].length % quarters(main))
    ):
        spans.pop(0)
    origin, upbeat = spans[0].start, Fraction(0)
    if len(spans) > 1 and spans[1].metre == main and _is_upbeat(spans[0], main):
        upbeat = spans.pop(0).length
        origin = spans[0].start - quarters(main)
        logger.info(
            "%s: %g quarter notes before the first bar of %d/%d are read as an upbeat",
            *(what, float(upbeat), *main),
        )
    if irregular := _irregular(spans, main, upbeat):
        raise UserError(f"{what}: {_irregularity(changes, irregular)}")
    return main, origin


class _Span(NamedTuple):
    """Where a metre holds."""

    start: Fraction
    end: Fraction
    metre: Metre

    @property
    def length(self) -> Fraction:
        return self.end - self.start


def _longest(spans: Sequence[_Span], first: Fraction) -> Metre:
    """Returns the metre with most time from the first note on; the longer bar of equals."""
    lasts: dict[Metre, Fraction] = {}
    for span in spans:
        bar = quarters(span.metre)
        length_mask = max(span.end - max(span.start, first), Fraction(0))
        lasts[span.metre] = (
            lasts.get(span.metre, Fraction(0)) + -(-length_mask // bar) * bar
        )
    return max(lasts, key=lambda metre: (lasts[metre], quarters(metre)))


def _is_upbeat(span: _Span, main: Metre) -> bool:
    return span.length < quarters(main) and span.length <= quarters(span.metre)


def _irregular(spans: Sequence[_Span], main: Metre, upbeat: Fraction) -> _Span | None:
    """Returns the first span that shifts the bar lines of the main metre or adds others."""
    bar, index = quarters(main), 0
    while index < len(spans):
        span = spans[index]
        if (span.start - spans[0].start) % bar:
            return span
        index += 1
        if span.metre == main:
            continue
        run = [span]
        while index < len(spans) and spans[index].metre != main:
            run.append(spans[index])
            index += 1
        if index < len(spans):
            whole = all(part.length == quarters(part.metre) for part in run)
            if not whole or run[-1].end - span.start != bar:
                return spans[index] if span is spans[0] else span
        elif (
            len(run) > 1
            or quarters(span.metre) != bar - upbeat
            or (not upbeat or span.length > bar - upbeat)
        ):
            return span
    return None


def _irregularity(changes: Sequence[tuple[Fraction, Metre]], span: _Span) -> str:
    """Says where a span begins, in the bars of the file, and what is wrong with it."""
    bar, before, metre = Fraction(1), Fraction(0), changes[0][1]
    for start, other in changes:
        if start > span.start:
            break
        bar += (start - before) / quarters(metre)
        if start == span.start:
            break
        before, metre = start, other
    if metre == span.metre:
        return (
            f"bar {int(bar)}: the metre {metre[0]}/{metre[1]} begins again within a bar: "
            "whole bars are needed"
        )
    return change(int(bar), metre, span.metre)


def change(bar: int, before: Metre, after: Metre) -> str:
    """Returns the message for a change of metre at a bar, counted from 1."""
    return (
        f"bar {bar}: the metre changes from {before[0]}/{before[1]} to "
        f"{after[0]}/{after[1]}: only one metre can be read: save the bars of one "
        "metre alone"
    )
