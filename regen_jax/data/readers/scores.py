"""Scores of a prepared data set such as `chorales` or `folk_tunes`."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from regen_jax.data.builders.music21_corpus import DIVISION
from regen_jax.data.readers import raw_records
from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import Note, Score

_FEATURES = (
    *("notes", "fermatas", "lyrics", "lyric_starts"),
    *("voices", "metre", "key", "title"),
)


class Piece(NamedTuple):
    """A score and what it is called."""

    title: str
    score: Score


@functools.lru_cache(maxsize=16)
def load_scores(name: str, split: str, data_dir: str = "") -> tuple[Piece, ...]:
    """The pieces of a prepared set, in sixteenths (division 4), as the files have them.

    Lyrics and fermatas are in the notes of the first voice.

    Raises:
      UserError: the set is not prepared there, is damaged, or is not one of scores.
    """
    return tuple(
        Piece(record["title"].decode(), score_of(record))
        for record in raw_records.load(name, split, data_dir, _FEATURES)
    )


def score_of(record: Mapping[str, Any]) -> Score:
    """Returns the score of a stored record."""
    starts = record["lyric_starts"].tolist()
    syllables = dict(zip(starts, record["lyrics"], strict=True))
    fermatas = set(record["fermatas"].tolist())
    voices: list[list[Note]] = [[] for _ in range(int(record["voices"]))]
    for voice, start, duration, pitch in record["notes"].tolist():
        first = voice == 0
        voices[voice].append(
            Note(
                start,
                duration,
                pitch,
                fermata=first and start in fermatas,
                lyric=syllables.get(start, b"").decode() if first else "",
            )
        )
    beats, value = record["metre"].tolist()
    return Score(
        tuple(tuple(notes) for notes in voices),
        DIVISION,
        (beats, value),
        record["key"].decode(),
    )


def voice_ranges(pieces: Sequence[Piece]) -> tuple[tuple[int, int], ...]:
    """The lowest and highest MIDI pitch of each voice, over all the pieces."""
    voices = zip(*(piece.score.voices for piece in pieces), strict=True)
    ranges = []
    for parts in voices:
        pitches = [note.pitch for notes in parts for note in notes]
        ranges.append((min(pitches), max(pitches)))
    return tuple(ranges)


def transpositions(
    score: Score, semitones: int, ranges: Sequence[tuple[int, int]] = ()
) -> list[Score]:
    """The score in each key at most that many semitones away that its voices can sing.

    Its own key is among them if they can sing it.

    Args:
      score: any.
      semitones: the most, downwards and upwards.
      ranges: the lowest and highest MIDI pitch of each voice, as `voice_ranges` gives
        them; those that have a symbol if empty.
    """
    ranges = ranges or [(events.LOWEST, events.HIGHEST)] * len(score.voices)
    room = [
        (low - note.pitch, high - note.pitch)
        for notes, (low, high) in zip(score.voices, ranges, strict=True)
        for note in notes
    ]
    lowest = max((low for low, _ in room), default=0)
    highest = min((high for _, high in room), default=0)
    shifts = range(max(lowest, -semitones), min(highest, semitones) + 1)
    return [_transpose(score, shift) for shift in shifts]


def _transpose(score: Score, semitones: int) -> Score:
    voices = tuple(
        tuple(replace(note, pitch=note.pitch + semitones) for note in notes)
        for notes in score.voices
    )
    return replace(score, voices=voices, key=transpose_key(score.key, semitones))


def transpose_key(key: str, semitones: int) -> str:
    """The key that many semitones higher: `f#` and 2 give `g#`; empty stays empty."""
    if not key:
        return key
    tonic = events.PITCH_CLASSES.index(key[0].upper() + key[1:])
    name = events.PITCH_CLASSES[(tonic + semitones) % 12]
    return name if key[0].isupper() else name.lower()
