"""A score as notes, between files and tokens."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np

from regen_jax.errors import UserError
from regen_jax.modalities.music import events


@dataclasses.dataclass(frozen=True)
class Note:
    """A note.

    Attributes:
      start: steps from the beginning of the score.
      duration: steps, at least 1.
      pitch: of MIDI, 60 is middle C.
      fermata: whether it stands under one.
      lyric: the syllable sung from here; it ends in `-` where the word goes on.
    """

    start: int
    duration: int
    pitch: int
    fermata: bool = False
    lyric: str = ""

    @property
    def end(self) -> int:
        return self.start + self.duration


@dataclasses.dataclass(frozen=True)
class Score:
    """Voices of one note at a time, from high to low. Step 0 begins a bar.

    Attributes:
      voices: the notes of each, in order, none of which overlap.
      division: steps a quarter note.
      metre: beats a bar, and the note value of a beat.
      key: the tonic, such as `F#`, in lower case where minor; empty if not known.
    """

    voices: tuple[tuple[Note, ...], ...]
    division: int
    metre: tuple[int, int] = (4, 4)
    key: str = ""

    @property
    def length(self) -> int:
        """Steps to the end of the last note."""
        return max((note.end for voice in self.voices for note in voice), default=0)

    def coarser(self, division: int) -> "Score":
        """On a grid of fewer steps: what sounds where a step begins lasts through it.

        A note between two steps is lost; its fermata, and its syllable where the other
        has none, go to the note that sounds then.
        """
        if self.division % division:
            raise ValueError(f"division {division} does not divide {self.division}")
        if division == self.division:
            return self
        size = self.division // division
        voices = tuple(_coarser(voice, size) for voice in self.voices)
        return dataclasses.replace(self, voices=voices, division=division)


def place(step: float, division: int, metre: tuple[int, int]) -> str:
    """Where a step is, for people: bars and beats count from 1, `bar 3, beat 2.5`."""
    beats, unit = metre
    bar, beat = divmod(step * unit / (4 * division), beats)
    return f"bar {int(bar) + 1}, beat {float(beat) + 1:.4g}"


def voice_names(count: int) -> tuple[str, ...]:
    """What that many voices are called, from high to low."""
    if count == 4:
        return ("Soprano", "Alto", "Tenor", "Bass")
    return tuple(f"Voice {i + 1}" for i in range(count)) if count > 1 else ("Melody",)


def to_events(score: Score, steps: int) -> np.ndarray:
    """int32 [steps, voices], or [steps] of one voice; 0 behind the end.

    Raises:
      UserError: the score is empty or too long, or a pitch has no symbol.
    """
    if not score.length:
        raise UserError("the score has no notes")
    if score.length > steps:
        raise UserError(
            f"the score has {score.length} steps of 1/{4 * score.division}: at most "
            f"{steps} fit"
        )
    ids = np.zeros((steps, len(score.voices)), np.int32)
    ids[: score.length] = events.REST
    for voice, notes in enumerate(score.voices):
        for note in notes:
            try:
                ids[note.start : note.end, voice] = events.sustained(note.pitch)
                ids[note.start, voice] = events.note(note.pitch, note.fermata)
            except ValueError as error:
                at = place(note.start, score.division, score.metre)
                raise UserError(f"voice {voice + 1}, {at}: {error}") from error
    return ids if len(score.voices) > 1 else ids[:, 0]


def from_events(
    ids: np.ndarray,
    division: int,
    metre: tuple[int, int] = (4, 4),
    key: str = "",
    lyrics: Sequence[str] = (),
) -> Score:
    """The score of ids int [T, voices] or [T]; `lyrics` go to the first voice's notes."""
    ids = np.asarray(ids)
    ids = ids[:, None] if ids.ndim == 1 else ids
    ended = np.flatnonzero(ids[:, 0] == events.PADDING)
    ids = ids[: ended[0]] if ended.size else ids
    voices = []
    for voice, column in enumerate(ids.T):
        pitches, under = events.sounding(column), events.fermatas(column)
        changes = np.flatnonzero(events.begins(column) | (pitches == 0)).tolist()
        syllables = iter(lyrics if voice == 0 else ())
        voices.append(
            tuple(
                Note(
                    start,
                    end - start,
                    int(pitches[start]),
                    bool(under[start]),
                    next(syllables, ""),
                )
                for start, end in itertools.pairwise([*changes, len(column)])
                if pitches[start]
            )
        )
    return Score(tuple(voices), division, metre, key)


def _coarser(voice: Sequence[Note], size: int) -> tuple[Note, ...]:
    kept: list[Note] = []
    for note in voice:
        first, last = -(-note.start // size), -(-note.end // size)
        if first < last:
            kept.append(dataclasses.replace(note, start=first, duration=last - first))
        elif kept and kept[-1].end == first:
            before = kept[-1]
            kept[-1] = dataclasses.replace(
                before,
                fermata=before.fermata or note.fermata,
                lyric=before.lyric or note.lyric,
            )
    return tuple(kept)


@functools.lru_cache(maxsize=256)
def scale(key: str) -> tuple[int, ...]:
    """Pitch classes of a key: the major scale, or the natural minor with raised 6 and 7.

    `ValueError` where there is no such key.
    """
    tonic = key[:1].upper() + key[1:]
    if tonic not in events.PITCH_CLASSES:
        raise ValueError(f"there is no key {key!r}")
    major, minor = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 9, 10, 11)
    root = events.PITCH_CLASSES.index(tonic)
    return tuple((root + step) % 12 for step in (minor if key[0].islower() else major))


def fifths(key: str) -> int:
    """Sharps in the signature of a key, flats where negative: -5 to 6.

    `ValueError` where there is no such key.
    """
    root = scale(key)[0]
    sharps = (root + 3 * key[0].islower()) * 7 % 12
    return sharps - 12 if sharps > 6 else sharps


def key_of(sharps: int, minor: bool = False) -> str:
    """The inverse of `fifths`; signatures of the same sound are the same key."""
    tonic = events.PITCH_CLASSES[(sharps * 7 - 3 * minor) % 12]
    return tonic.lower() if minor else tonic
