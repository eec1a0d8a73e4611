"""Quantization of the notes of a music file to steps."""

import dataclasses
import logging
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from regen_jax.errors import UserError
from regen_jax.modalities.music import events
from regen_jax.modalities.music.bars import DIVISIONS
from regen_jax.modalities.music.score import Note, position_name

_TOLERANCE = Fraction(1, 15)
"""Quarter notes by which performed notes may miss their step; triplets miss by more."""

logger = logging.getLogger("regen_jax")


class TimedNote(NamedTuple):
    """A note of a file, timed in quarter notes from the start of the file.

    Attributes:
      start: time of the onset.
      end: time of the end.
      pitch: MIDI pitch.
      fermata: whether the note is under a fermata.
      lyric: syllable; it ends in `-` if the word continues.
    """

    start: Fraction
    end: Fraction
    pitch: int
    fermata: bool = False
    lyric: str = ""


def quantize_notes(
    timed_notes: Iterable[TimedNote],
    division: int,
    meter: tuple[int, int],
    label: str,
) -> tuple[Note, ...]:
    """Quantizes the notes of a voice to a grid of steps.

    A note starts and ends at the nearest step, the later of two equally near, and lasts
    at least one. Notes may overlap by up to half a step, as in performances. If notes
    are moved by more than `_TOLERANCE`, one line is logged.

    Args:
      timed_notes: notes of a voice in any order.
      division: steps per quarter note.
      meter: time signature, for positions in messages.
      label: beginning of messages.

    Raises:
      UserError: a pitch has no symbol, notes sound at once, or notes would be lost
        because more than one starts in a step.
    """
    timed_notes = sorted(timed_notes, key=lambda note: (note.start, note.end))
    notes: list[Note] = []
    lost: list[str] = []
    previous = None
    for note in timed_notes:
        start = nearest_step(note.start * division)
        name = events.pitch_name(note.pitch)
        position = position_name(start, division, meter)
        if not events.LOWEST <= note.pitch <= events.HIGHEST:
            lowest, highest = map(events.pitch_name, (events.LOWEST, events.HIGHEST))
            raise UserError(
                f"{label}: {position}: {name} is out of range: notes from {lowest} to "
                f"{highest} are known"
            )
        if previous is not None:
            overlap = (previous.end - note.start) * division
            if previous.start == note.start or overlap > Fraction(1, 2):
                sounding = events.pitch_name(previous.pitch)
                raise UserError(
                    f"{label}: {position}: {name} begins while {sounding} sounds: a voice "
                    "has one note at a time"
                )
        previous = note
        if notes and notes[-1].start == start:
            exact = position_name(note.start * division, division, meter)
            lost.append(f"{name} at {exact}")
            continue
        if notes and notes[-1].end > start:
            notes[-1] = dataclasses.replace(notes[-1], duration=start - notes[-1].start)
        duration = max(1, nearest_step(note.end * division) - start)
        notes.append(Note(start, duration, note.pitch, note.fermata, note.lyric))
    if lost:
        raise UserError(
            f"{label}: {len(lost)} of {len(timed_notes)} notes would be lost, the first "
            f"{lost[0]}: each begins in the same step of 1/{4 * division} as the one "
            f"before: {_advice(timed_notes, division)}"
        )
    num_moved = sum(_is_off_grid(note, division) for note in timed_notes)
    if num_moved:
        exact_divisions = [d for d in DIVISIONS if _fits_grid(timed_notes, d)]
        logger.warning(
            "%s: %d of %d notes begin between the steps of 1/%d and go to the nearest%s",
            *(label, num_moved, len(timed_notes), 4 * division),
            f": division={exact_divisions[0]} would keep their times"
            if exact_divisions
            else "",
        )
    return tuple(notes)


def nearest_step(step: Fraction) -> int:
    """Rounds to the nearest whole step, the later one of two equally near."""
    return math.floor(step + Fraction(1, 2))


def _is_off_grid(note: TimedNote, division: int) -> bool:
    step = note.start * division
    return abs(step - nearest_step(step)) > _TOLERANCE * division


def _fits_grid(notes: Sequence[TimedNote], division: int) -> bool:
    return not any(_is_off_grid(note, division) for note in notes)


def _advice(notes: Sequence[TimedNote], division: int) -> str:
    """Recommends a division that keeps all notes, if possible without moving any."""
    keeping = [
        candidate
        for candidate in DIVISIONS
        if candidate != division
        and len({nearest_step(note.start * candidate) for note in notes}) == len(notes)
    ]
    exact = [candidate for candidate in keeping if _fits_grid(notes, candidate)]
    if not keeping:
        return (
            f"no division of {', '.join(map(str, DIVISIONS))} keeps them: write them in "
            "longer note values"
        )
    return f"division={(exact or keeping)[0]} keeps them"
