"""Shared by readers of music files: a package, and the rounding of notes to steps."""

import dataclasses
import importlib
import logging
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from types import ModuleType

from regen_jax.errors import UserError
from regen_jax.modalities.music import events
from regen_jax.modalities.music.bars import DIVISIONS
from regen_jax.modalities.music.score import Note, place

_PLAYED = Fraction(1, 15)
"""Quarter notes by which played notes may miss their step; triplets miss by more."""

logger = logging.getLogger("regen_jax")


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
    least one. Notes may overlap by up to half a step, as players let them. If notes
    are moved by more than `_PLAYED`, one line is logged.

    Raises:
      UserError: a pitch has no symbol, notes sound at once, or notes would be lost, as
        more than one begins in a step. It begins with `what` and says where.
    """
    sounds = sorted(sounds, key=lambda sound: (sound.start, sound.end))
    notes: list[Note] = []
    lost: list[str] = []
    before = None
    for sound in sounds:
        start = nearest(sound.start * division)
        name = events.name(sound.pitch)
        where = place(start, division, metre)
        if not events.LOWEST <= sound.pitch <= events.HIGHEST:
            raise UserError(
                f"{what}: {where}: {name} is out of range: notes from "
                f"{events.name(events.LOWEST)} to {events.name(events.HIGHEST)} are known"
            )
        if before is not None:
            overlap = (before.end - sound.start) * division
            if before.start == sound.start or overlap > Fraction(1, 2):
                raise UserError(
                    f"{what}: {where}: {name} begins while "
                    f"{events.name(before.pitch)} sounds: a voice has one note at a time"
                )
        before = sound
        if notes and notes[-1].start == start:
            lost.append(f"{name} at {place(sound.start * division, division, metre)}")
            continue
        if notes and notes[-1].end > start:
            notes[-1] = dataclasses.replace(notes[-1], duration=start - notes[-1].start)
        duration = max(1, nearest(sound.end * division) - start)
        notes.append(Note(start, duration, sound.pitch, sound.fermata, sound.lyric))
    if lost:
        raise UserError(
            f"{what}: {len(lost)} of {len(sounds)} notes would be lost, the first "
            f"{lost[0]}: each begins in the same step of 1/{4 * division} as the one "
            f"before: {_advice(sounds, division)}"
        )
    moved = sum(_misses(sound, division) for sound in sounds)
    if moved:
        exact = [d for d in DIVISIONS if not any(_misses(s, d) for s in sounds)]
        logger.warning(
            "%s: %d of %d notes begin between the steps of 1/%d and go to the nearest%s",
            *(what, moved, len(sounds), 4 * division),
            f": division={exact[0]} would keep their times" if exact else "",
        )
    return tuple(notes)


def nearest(step: Fraction) -> int:
    """Returns the nearest whole step, the later one of two equally near."""
    return math.floor(step + Fraction(1, 2))


def _misses(sound: Sound, division: int) -> bool:
    step = sound.start * division
    return abs(step - nearest(step)) > _PLAYED * division


def _advice(sounds: Sequence[Sound], division: int) -> str:
    """Returns advice on a division that keeps all notes, if possible without moving any."""
    keeping = [
        one
        for one in DIVISIONS
        if one != division
        and len({nearest(sound.start * one) for sound in sounds}) == len(sounds)
    ]
    exact = [one for one in keeping if not any(_misses(s, one) for s in sounds)]
    if not keeping:
        return (
            f"no division of {', '.join(map(str, DIVISIONS))} keeps them: write them in "
            "longer note values"
        )
    return f"division={(exact or keeping)[0]} keeps them"


def require(package: str) -> ModuleType:
    """A package that reads or writes files; `UserError` where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(
            f"files of music need the package {package}: "
            "run `pip install 'regen-jax[music]'`"
        ) from error
