"""Lengths of bars in steps, and the meter of a file."""

import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

from regen_jax.errors import UserError

Division = Literal[1, 2, 4]
"""Supported steps per quarter note; data sets store sixteenths."""
DIVISIONS = get_args(Division)

Meter = tuple[int, int]
"""A time signature: beats per bar, and the note value of a beat."""

logger = logging.getLogger("regen_jax")


def quarters(meter: Meter) -> Fraction:
    """Returns the length of a bar in quarter notes."""
    return Fraction(4 * meter[0], meter[1])


def steps(meter: Meter, division: int) -> int | None:
    """Returns the length of a bar in steps; None if that is 0 or not a whole number."""
    length = quarters(meter) * division
    return int(length) if length and length.denominator == 1 else None


def check(meter: Meter, division: int, label: str) -> None:
    """Raises a UserError that begins with `label` unless bars have whole steps."""
    if steps(meter, division) is not None:
        return
    beats, unit = meter
    if not beats:
        raise UserError(
            f"{label}: the meter {beats}/{unit} does not fit: it has no beat"
        )
    divisions = [d for d in DIVISIONS if steps(meter, d) is not None]
    advice = (
        f"set division={divisions[0]}"
        if divisions
        else "write it in longer note values"
    )
    raise UserError(
        f"{label}: the meter {beats}/{unit} does not fit: a bar needs a whole number of "
        f"steps of 1/{4 * division}: {advice}"
    )


def find_meter(
    changes: Sequence[tuple[Fraction, Meter]],
    first: Fraction,
    end: Fraction,
    label: str,
) -> tuple[Meter, Fraction]:
    """Finds the meter of a piece and the time of its first bar line.

    The meter is that of most of the piece. Other meters are allowed before the first note,
    in an upbeat (a shorter first bar), in the last bar that completes it, and where a bar
    is split into several, as at a repeat. An upbeat is the end of a whole bar, whose bar
    line is the first one, so its time may be negative.

    Args:
      changes: ordered times in quarter notes and the meters from there on; the meter is
        4/4 before the first.
      first: time of the first onset.
      end: time when the last note ends.
      label: beginning of messages.

    Raises:
      UserError: a meter has no beats, or the meter changes.
    """
    changes = [change for change in changes if change[0] < end or change[0] <= first]
    if not changes or changes[0][0] > 0:
        changes.insert(0, (Fraction(0), (4, 4)))
    for _, meter in changes:
        if not meter[0]:
            check(meter, 1, label)
    starts = [start for start, _ in changes]
    spans = [
        _Span(start, span_end, meter)
        for (start, meter), span_end in zip(
            changes, [*starts[1:], max(end, starts[-1])], strict=True
        )
    ]
    main = _longest_meter(spans, first)
    while (
        len(spans) > 1
        and spans[1].start <= first
        and (spans[0].meter != main or spans[0].length % quarters(main))
    ):
        spans.pop(0)
    origin, upbeat = spans[0].start, Fraction(0)
    if len(spans) > 1 and spans[1].meter == main and _is_upbeat(spans[0], main):
        upbeat = spans.pop(0).length
        origin = spans[0].start - quarters(main)
        logger.info(
            "%s: %g quarter notes before the first bar of %d/%d are read as an upbeat",
            *(label, float(upbeat), *main),
        )
    if irregular := _irregular(spans, main, upbeat):
        raise UserError(f"{label}: {_describe(changes, irregular)}")
    return main, origin


class _Span(NamedTuple):
    """A span of time in quarter notes with one meter."""

    start: Fraction
    end: Fraction
    meter: Meter

    @property
    def length(self) -> Fraction:
        return self.end - self.start


def _longest_meter(spans: Sequence[_Span], first: Fraction) -> Meter:
    """Returns the meter of most time from the first onset on, in whole bars.

    Among equals it is that of the longer bar.
    """
    durations: dict[Meter, Fraction] = {}
    for span in spans:
        bar = quarters(span.meter)
        duration = max(span.end - max(span.start, first), Fraction(0))
        total = durations.get(span.meter, Fraction(0))
        durations[span.meter] = total + -(-duration // bar) * bar
    return max(durations, key=lambda meter: (durations[meter], quarters(meter)))


def _is_upbeat(span: _Span, main: Meter) -> bool:
    return span.length < quarters(main) and span.length <= quarters(span.meter)


def _irregular(spans: Sequence[_Span], main: Meter, upbeat: Fraction) -> _Span | None:
    """Finds the first span whose bar lines are not those of the main meter."""
    bar, index = quarters(main), 0
    while index < len(spans):
        span = spans[index]
        if (span.start - spans[0].start) % bar:
            return span
        index += 1
        if span.meter == main:
            continue
        run = [span]
        while index < len(spans) and spans[index].meter != main:
            run.append(spans[index])
            index += 1
        if index < len(spans):
            whole = all(part.length == quarters(part.meter) for part in run)
            if not whole or run[-1].end - span.start != bar:
                return spans[index] if span is spans[0] else span
        elif (
            len(run) > 1
            or quarters(span.meter) != bar - upbeat
            or (not upbeat or span.length > bar - upbeat)
        ):
            return span
    return None


def _describe(changes: Sequence[tuple[Fraction, Meter]], span: _Span) -> str:
    """Describes an irregular span and its position in the bars of the file."""
    bar, before, meter = Fraction(1), Fraction(0), changes[0][1]
    for start, other in changes:
        if start > span.start:
            break
        bar += (start - before) / quarters(meter)
        if start == span.start:
            break
        before, meter = start, other
    if meter == span.meter:
        return (
            f"bar {int(bar)}: the meter {meter[0]}/{meter[1]} begins again within a bar: "
            "whole bars are needed"
        )
    return meter_change(int(bar), meter, span.meter)


def meter_change(bar: int, before: Meter, after: Meter) -> str:
    """Formats the message for a change of meter at a bar, counted from 1."""
    return (
        f"bar {bar}: the meter changes from {before[0]}/{before[1]} to "
        f"{after[0]}/{after[1]}: only one meter can be read: save the bars of one "
        "meter alone"
    )
