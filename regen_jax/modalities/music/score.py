"""Scores as lists of notes, between files and tokens."""

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
      start: steps from the start of the score.
      duration: steps, at least 1.
      pitch: MIDI pitch, 60 is middle C.
      fermata: whether the note is under a fermata.
      lyric: syllable; it ends in `-` if the word continues.
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
    """Monophonic voices from high to low; step 0 starts a bar.

    Attributes:
      voices: notes of each voice, ordered and without overlap.
      division: steps per quarter note.
      meter: time signature: beats per bar, and the note value of a beat.
      key: tonic, such as `F#`, in lower case for minor; empty if unknown.
    """

    voices: tuple[tuple[Note, ...], ...]
    division: int
    meter: tuple[int, int] = (4, 4)
    key: str = ""

    @property
    def length(self) -> int:
        """Steps up to the end of the last note."""
        return max((note.end for voice in self.voices for note in voice), default=0)

    def coarsen(self, division: int) -> "Score":
        """Samples the score on a grid of fewer steps per quarter note.

        A note that sounds at the start of a step sounds throughout it. A note that starts
        and ends within a step is lost; its fermata, and its lyric if the other has none,
        move to the note that sounds then.

        Args:
          division: steps per quarter note, a divisor of the score's.

        Raises:
          ValueError: it is not a divisor.
        """
        if self.division % division:
            raise ValueError(f"division {division} does not divide {self.division}")
        if division == self.division:
            return self
        size = self.division // division
        voices = tuple(_coarsen(voice, size) for voice in self.voices)
        return dataclasses.replace(self, voices=voices, division=division)


def position_name(step: float, division: int, meter: tuple[int, int]) -> str:
    """Formats the position of a step, counted from 1, such as `bar 3, beat 2.5`."""
    beats, unit = meter
    bar, beat = divmod(step * unit / (4 * division), beats)
    return f"bar {int(bar) + 1}, beat {float(beat) + 1:.4g}"


def voice_names(count: int) -> tuple[str, ...]:
    """Names voices from high to low."""
    if count == 4:
        return ("Soprano", "Alto", "Tenor", "Bass")
    return tuple(f"Voice {i + 1}" for i in range(count)) if count > 1 else ("Melody",)


def to_events(score: Score, steps: int) -> np.ndarray:
    """Encodes a score by the ids of `regen_jax.modalities.music.events`.

    Args:
      score: has at least one note.
      steps: length of the result.

    Returns:
      i32[steps, voices], or [steps] for one voice, padded with 0.

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
                ids[note.start : note.end, voice] = events.sustained_id(note.pitch)
                ids[note.start, voice] = events.note_id(note.pitch, note.fermata)
            except ValueError as error:
                position = position_name(note.start, score.division, score.meter)
                raise UserError(f"voice {voice + 1}, {position}: {error}") from error
    return ids if len(score.voices) > 1 else ids[:, 0]


def from_events(
    ids: np.ndarray,
    division: int,
    meter: tuple[int, int] = (4, 4),
    key: str = "",
    lyrics: Sequence[str] = (),
) -> Score:
    """Decodes a score.

    Args:
      ids: int[T, voices] or [T]; the first padding of the first voice ends the score.
      division: steps per quarter note.
      meter: time signature of the score.
      key: key of the score.
      lyrics: syllables of the notes of the first voice.
    """
    ids = np.asarray(ids)
    ids = ids[:, None] if ids.ndim == 1 else ids
    ended = np.flatnonzero(ids[:, 0] == events.PADDING)
    ids = ids[: ended[0]] if ended.size else ids
    voices = []
    for voice, column in enumerate(ids.T):
        pitches = events.sounding_pitches(column)
        fermatas = events.fermata_mask(column)
        changes = np.flatnonzero(events.onset_mask(column) | (pitches == 0)).tolist()
        syllables = iter(lyrics if voice == 0 else ())
        voices.append(
            tuple(
                Note(
                    start,
                    end - start,
                    int(pitches[start]),
                    bool(fermatas[start]),
                    next(syllables, ""),
                )
                for start, end in itertools.pairwise([*changes, len(column)])
                if pitches[start]
            )
        )
    return Score(tuple(voices), division, meter, key)


def _coarsen(voice: Sequence[Note], size: int) -> tuple[Note, ...]:
    notes: list[Note] = []
    for note in voice:
        start, end = -(-note.start // size), -(-note.end // size)
        if start < end:
            notes.append(dataclasses.replace(note, start=start, duration=end - start))
        elif notes and notes[-1].end == start:
            previous = notes[-1]
            notes[-1] = dataclasses.replace(
                previous,
                fermata=previous.fermata or note.fermata,
                lyric=previous.lyric or note.lyric,
            )
    return tuple(notes)


@functools.lru_cache(maxsize=256)
def scale(key: str) -> tuple[int, ...]:
    """Returns the pitch classes of a key, from its tonic on.

    They are the major scale, or the natural minor scale with raised 6 and 7.

    Raises:
      ValueError: there is no such key.
    """
    tonic = key[:1].upper() + key[1:]
    if tonic not in events.PITCH_CLASSES:
        raise ValueError(f"there is no key {key!r}")
    major, minor = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 9, 10, 11)
    root = events.PITCH_CLASSES.index(tonic)
    return tuple((root + step) % 12 for step in (minor if key[0].islower() else major))


def fifths(key: str) -> int:
    """Returns the sharps of a key signature, negative for flats, from -5 to 6.

    Raises:
      ValueError: there is no such key.
    """
    root = scale(key)[0]
    sharps = (root + 3 * key[0].islower()) * 7 % 12
    return sharps - 12 if sharps > 6 else sharps


def key_from_fifths(sharps: int, minor: bool = False) -> str:
    """Returns the key of a signature, the inverse of `fifths` up to enharmonics."""
    tonic = events.PITCH_CLASSES[(sharps * 7 - 3 * minor) % 12]
    return tonic.lower() if minor else tonic
