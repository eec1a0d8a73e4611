"""What files of music have in common: a package, notes on a grid, and one metre."""

import dataclasses
import importlib
import math
from collections.abc import Iterable
from fractions import Fraction
from types import ModuleType

from regen_jax.errors import UserError
from regen_jax.music import events
from regen_jax.music.score import Note, place


@dataclasses.dataclass(frozen=True)
class Sound:
    """A note of a file; `start` and `end` in quarter notes from the beginning."""

    start: Fraction
    end: Fraction
    pitch: int
    fermata: bool = False
    lyric: str = ""


def quantized(
    sounds: Iterable[Sound], division: int, metre: tuple[int, int], what: str
) -> tuple[Note, ...]:
    """The notes of a voice on a grid of `division` steps a quarter note.

    A note begins and ends at the nearest step, the later of two as near, and lasts at
    least one. Notes may overlap by up to half a step, as players let them.

    Raises:
      UserError: a pitch has no symbol, notes sound at once, or more than one begins in
        a step. It begins with `what` and says where.
    """
    notes: list[Note] = []
    before = None
    for sound in sorted(sounds, key=lambda sound: (sound.start, sound.end)):
        start = _nearest(sound.start * division)
        at = f"{what}: {place(start, division, metre)}: {events.name(sound.pitch)}"
        if not events.LOWEST <= sound.pitch <= events.HIGHEST:
            raise UserError(
                f"{at} is out of range: notes from {events.name(events.LOWEST)} to "
                f"{events.name(events.HIGHEST)} are known"
            )
        if before is not None:
            overlap = (before.end - sound.start) * division
            if before.start == sound.start or overlap > Fraction(1, 2):
                raise UserError(
                    f"{at} begins while {events.name(before.pitch)} sounds: a voice has "
                    "one note at a time"
                )
            if notes[-1].start == start:
                raise UserError(
                    f"{at} begins in the same step of 1/{4 * division} as "
                    f"{events.name(before.pitch)}: join them into one note"
                )
        if notes and notes[-1].end > start:
            notes[-1] = dataclasses.replace(notes[-1], duration=start - notes[-1].start)
        duration = max(1, _nearest(sound.end * division) - start)
        notes.append(Note(start, duration, sound.pitch, sound.fermata, sound.lyric))
        before = sound
    return tuple(notes)


def require(package: str) -> ModuleType:
    """A package that reads or writes files; `UserError` where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"files of music need the package {package}: "
            "run `pip install 'regen-jax[music]'`"
        ) from error


def check_metre(
    changes: Iterable[tuple[int, tuple[int, int]]], division: int, what: str
) -> tuple[int, int]:
    """The metre of a file that has but one.

    Arguments:
      changes: the bar, from 1, and the metre from there, in order; not empty.
      division: steps a quarter note.
      what: the beginning of errors.

    Raises:
      UserError: the metre changes, or its bars are no whole number of steps.
    """
    (_, metre), *later = changes
    beats, unit = metre
    for bar, other in later:
        if other != metre:
            raise UserError(
                f"{what}: bar {bar}: the metre changes from {beats}/{unit} to "
                f"{other[0]}/{other[1]}: one metre is needed"
            )
    if beats < 1 or 4 * division * beats % unit:
        raise UserError(
            f"{what}: bar 1: the metre {beats}/{unit} does not fit: a bar needs a whole "
            f"number of steps of 1/{4 * division}"
        )
    return metre


def _nearest(step: Fraction) -> int:
    return math.floor(step + Fraction(1, 2))
