"""Reads scores of the corpus inside the package `music21` as plain numbers."""

import collections
import concurrent.futures
import functools
import itertools
import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from regen_jax.data.builders.packages import path_in_package
from regen_jax.data.readers.scores import DIVISION
from regen_jax.modalities.music import events

if TYPE_CHECKING:
    from music21 import stream

logger = logging.getLogger(__name__)

FEATURES = {
    "notes": tfds.features.Tensor(shape=(None, 4), dtype=np.int32),
    "fermatas": tfds.features.Tensor(shape=(None,), dtype=np.int32),
    "lyrics": tfds.features.Sequence(tfds.features.Text()),
    "lyric_starts": tfds.features.Tensor(shape=(None,), dtype=np.int32),
    "voices": tfds.features.Scalar(dtype=np.int32),
    "meter": tfds.features.Tensor(shape=(2,), dtype=np.int32),
    "key": tfds.features.Text(),
    "title": tfds.features.Text(),
}
"""Of a score that `readers.scores` reads."""
RELEASE_NOTES = {
    "2.1.0": "The feature `metre` is called `meter`; nothing else changed.",
    "1.0.0": "The corpus of music21 10.5.1.",
}
"""Of every set from the corpus; each has its own of 2.0.0."""


class UnsuitablePiece(Exception):
    """A piece cannot be an example; the message is the reason."""


class Bars(NamedTuple):
    """The bars of a piece: their meter and the pickup.

    Attributes:
      meter: beats per bar, and the note value of a beat.
      pickup_rest: quarter notes in the first bar before a pickup.
    """

    meter: tuple[int, int]
    pickup_rest: float


class Voice(NamedTuple):
    """The notes of one voice, in sixteenths from the first bar line.

    Attributes:
      notes: i32[N, 3], their start, duration and MIDI pitch.
      under_fermata: bool[N].
    """

    notes: np.ndarray
    under_fermata: np.ndarray


def corpus_folder(name: str) -> Path:
    """Returns a folder of the corpus; `UserError` if `music21` is not installed."""
    return path_in_package(
        "music21",
        f"corpus/{name}",
        content=f"the scores of {name!r}",
        package="music21 10.5.1",
        extra="music",
    )


def read_pieces(
    read: Callable[[object], dict], pieces: Sequence, label: str
) -> list[dict | None]:
    """Reads pieces, in several processes if there are many, and logs what is left out.

    Args:
      read: returns the example of a piece, or raises `UnsuitablePiece`; a function at
        the top level of a module.
      pieces: what it takes.
      label: names the pieces in the log, such as `chorales`.

    Returns:
      The example of each piece in order, or None if it is unsuitable.
    """
    workers = min(os.cpu_count() or 1, 8, len(pieces) // 50)
    logger.info("reading %d %s", len(pieces), label)
    attempt = functools.partial(_attempt, read)
    if workers < 2:
        results = _with_progress(map(attempt, pieces), len(pieces), label)
    else:
        # A process forked from one that runs threads, as JAX and TFDS do, may hang.
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
            mapped = pool.map(attempt, pieces, chunksize=8)
            results = _with_progress(mapped, len(pieces), label)
    reasons = collections.Counter(r for r in results if isinstance(r, str))
    logger.info("left out: %s", dict(reasons))
    return [None if isinstance(result, str) else result for result in results]


def _attempt(read: Callable[[object], dict], piece: object) -> dict | str:
    """Returns the example of a piece, or the reason if it is unsuitable."""
    try:
        return read(piece)
    except UnsuitablePiece as reason:
        return str(reason)


def _with_progress(results, total: int, label: str) -> list[dict | str]:
    return list(tqdm(results, f"reading {label}", total, disable=None))


def read_bars(part: "stream.Part") -> Bars:
    """Finds the bars of a part; a bar may be written as two, as at a repeat.

    Raises:
      UnsuitablePiece: the meter changes or is not one of sixteenths, or bars are not
        full.
    """
    measures = list(part.getElementsByClass("Measure"))
    meters = {sign.ratioString for sign in part["TimeSignature"]}
    if not measures or len(meters) != 1:
        raise UnsuitablePiece("no meter, or several")
    beats, value = map(int, meters.pop().split("/"))
    if 16 % value:
        raise UnsuitablePiece("a bar is not a whole number of sixteenths")
    bar = 4 * beats / value
    rest = max(bar - measures[0].quarterLength, 0) if len(measures) > 1 else 0
    for before, after in itertools.pairwise(measures):
        begins = (after.offset + rest) % bar
        if begins and before.quarterLength + after.quarterLength != bar:
            raise UnsuitablePiece("bars that are not full")
    return Bars((beats, value), rest)


def read_voice(part: "stream.Part", bars: Bars) -> Voice:
    """Reads the notes of a part; tied notes are joined, and grace notes left out.

    Starts and ends are rounded to the nearest sixteenth. Of a chord the highest note is
    taken, and notes last until the next at most.

    Raises:
      UnsuitablePiece: a pitch outside the vocabulary, or no notes.
    """
    rows: list[list] = []
    tied = False
    for note in part.flatten().notes:
        if note.duration.isGrace or not note.pitches or "ChordSymbol" in note.classes:
            continue
        begins = note.offset + bars.pickup_rest
        start = round(DIVISION * begins)
        end = round(DIVISION * (begins + note.quarterLength))
        pitch = max(pitch.midi for pitch in note.pitches)
        if not events.LOWEST <= pitch <= events.HIGHEST:
            raise UnsuitablePiece("notes outside C2 to C6")
        fermata = any("Fermata" in mark.classes for mark in note.expressions)
        sung = bool(note.lyrics)
        # A few ties lead to another syllable: such notes are separate.
        tied = tied and not (sung and rows[-1][4])
        if tied and rows[-1][1:3] == [start, pitch]:
            rows[-1][1] = end
            rows[-1][3] |= fermata
            rows[-1][4] |= sung
        elif rows and start == rows[-1][0]:
            rows[-1][2] = max(pitch, rows[-1][2])
        elif end > start:
            if rows:
                rows[-1][1] = min(rows[-1][1], start)
            rows.append([start, end, pitch, fermata, sung])
        tied = bool(rows and note.tie and note.tie.type in ("start", "continue"))
    if not rows:
        raise UnsuitablePiece("no notes")
    starts, ends, pitches, fermatas, _ = np.array(rows).T
    notes = np.stack([starts, ends - starts, pitches], axis=1).astype(np.int32)
    return Voice(notes, fermatas.astype(bool))


def estimate_key(score: "stream.Stream") -> str:
    """Estimates the key by Krumhansl and Schmuckler's profiles over all notes.

    Returns:
      The tonic, spelled with sharps; in lower case for minor.
    """
    key = score.analyze("KrumhanslSchmuckler")
    tonic = events.PITCH_CLASSES[key.tonic.pitchClass]
    return tonic if key.mode == "major" else tonic.lower()


def make_example(
    voices: Sequence[Voice], bars: Bars, key: str, title: str
) -> dict[str, object]:
    """Returns the example of a piece without fermatas and lyrics."""
    notes = [
        np.pad(voice.notes, ((0, 0), (1, 0)), constant_values=index)
        for index, voice in enumerate(voices)
    ]
    return {
        "notes": np.concatenate(notes),
        "fermatas": np.zeros(0, np.int32),
        "lyrics": [],
        "lyric_starts": np.zeros(0, np.int32),
        "voices": len(voices),
        "meter": np.array(bars.meter, np.int32),
        "key": key,
        "title": title,
    }
