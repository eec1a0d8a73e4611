"""Reads scores of prepared data sets such as `chorales` or `folk_tunes`."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from regen_jax.data.readers import raw_records
from regen_jax.modalities.music import events
from regen_jax.modalities.music.score import Note, Score

DIVISION = 4
"""Steps per quarter note of stored scores: they are in sixteenths."""

_FEATURES = (
    *("notes", "fermatas", "lyrics", "lyric_starts"),
    *("voices", "meter", "key", "title"),
)


class Piece(NamedTuple):
    """A score and its title."""

    title: str
    score: Score


@functools.lru_cache(maxsize=16)
def load_scores(name: str, split: str, data_dir: str = "") -> tuple[Piece, ...]:
    """Reads the pieces of a split in file order, in sixteenths (`division` 4).

    Lyrics and fermatas are in the notes of the first voice.

    Args:
      name: of the prepared set.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Raises:
      UserError: the set is not prepared there, is damaged, or lacks the split or a
        feature.
    """
    return tuple(
        Piece(record["title"].decode(), score_of(record))
        for record in raw_records.load(name, split, data_dir, _FEATURES)
    )


def score_of(record: Mapping[str, Any]) -> Score:
    """Returns the score of a record of `raw_records.load`."""
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
    beats, value = record["meter"].tolist()
    return Score(
        tuple(tuple(notes) for notes in voices),
        DIVISION,
        (beats, value),
        record["key"].decode(),
    )


def voice_ranges(pieces: Sequence[Piece]) -> tuple[tuple[int, int], ...]:
    """Returns the lowest and highest MIDI pitch of each voice, over all pieces."""
    voices = zip(*(piece.score.voices for piece in pieces), strict=True)
    ranges = []
    for parts in voices:
        pitches = [note.pitch for notes in parts for note in notes]
        ranges.append((min(pitches), max(pitches)))
    return tuple(ranges)


def transpositions(
    score: Score, semitones: int, ranges: Sequence[tuple[int, int]] = ()
) -> list[Score]:
    """Transposes a score to every nearby key that its voices can sing.

    Args:
      score: the score; its own key is among the results if the voices can sing it.
      semitones: the largest transposition, downwards and upwards.
      ranges: the lowest and highest MIDI pitch of each voice, as of `voice_ranges`; if
        empty, those of `modalities.music.events`.

    Returns:
      Scores from the lowest to the highest.
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
    """Transposes a key by semitones: `f#` by 2 is `g#`; an empty key stays empty."""
    if not key:
        return key
    tonic = events.PITCH_CLASSES.index(key[0].upper() + key[1:])
    name = events.PITCH_CLASSES[(tonic + semitones) % 12]
    return name if key[0].isupper() else name.lower()
