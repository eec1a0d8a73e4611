"""Scores of the corpus inside the package `music21`, as plain numbers."""

import concurrent.futures
import importlib.util
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

from regen_jax.errors import UserError
from regen_jax.modalities.music import events

if TYPE_CHECKING:
    from music21 import stream

logger = logging.getLogger(__name__)

DIVISION = 4
"""Steps a quarter note: what is stored is in sixteenths."""


class Unfit(Exception):
    """Why a piece is left out."""


class Bars(NamedTuple):
    """Where the bars of a piece lie.

    Attributes:
      metre: beats a bar, and the note value of a beat.
      silence: quarter notes in the first bar before a pickup.
    """

    metre: tuple[int, int]
    silence: float


class Voice(NamedTuple):
    """Notes of one voice, in sixteenths from the first bar line.

    Attributes:
      notes: int32 [N, 3], their start, duration and MIDI pitch.
      under_fermata: bool [N].
    """

    notes: np.ndarray
    under_fermata: np.ndarray


def folder(name: str) -> Path:
    """A folder of the corpus, found without importing music21.

    Raises:
      UserError: the package is missing, or it came without its corpus.
    """
    spec = importlib.util.find_spec("music21")
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root, "corpus", name)
        if path.is_dir():
            return path
    raise UserError(
        f"the scores of {name!r} are part of the package music21 10.5.1, which is not "
        "installed: run `pip install 'regen-jax[music]'`"
    )


def features() -> tfds.features.FeaturesDict:
    """Of a set of scores: what `regen_jax.data.readers.scores` reads."""
    return tfds.features.FeaturesDict(
        {
            "notes": tfds.features.Tensor(shape=(None, 4), dtype=np.int32),
            "fermatas": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            "lyrics": tfds.features.Sequence(tfds.features.Text()),
            "lyric_starts": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            "voices": tfds.features.Scalar(dtype=np.int32),
            "metre": tfds.features.Tensor(shape=(2,), dtype=np.int32),
            "key": tfds.features.Text(),
            "title": tfds.features.Text(),
        }
    )


def read_all(read: Callable, pieces: Sequence, what: str) -> list:
    """`read(piece)` for each, in order; in several processes where there are many."""
    workers = min(os.cpu_count() or 1, 8, len(pieces) // 50)
    logger.info("reading %d %s", len(pieces), what)

    def shown(results):
        return list(tqdm(results, f"reading {what}", len(pieces), disable=None))

    if workers < 2:
        return shown(map(read, pieces))
    # A process forked from one that runs threads, as JAX and TFDS do, may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        return shown(pool.map(read, pieces, chunksize=8))


def read_bars(part: "stream.Part") -> Bars:
    """Where the bars of a part lie; a bar may be written as two, as at a repeat.

    Raises:
      Unfit: the metre changes or is not one of sixteenths, or bars are not full.
    """
    measures = list(part.getElementsByClass("Measure"))
    metres = {sign.ratioString for sign in part["TimeSignature"]}
    if not measures or len(metres) != 1:
        raise Unfit("no metre, or several")
    beats, value = map(int, metres.pop().split("/"))
    if 16 % value:
        raise Unfit("a bar is not a whole number of sixteenths")
    bar = 4 * beats / value
    silence = max(bar - measures[0].quarterLength, 0) if len(measures) > 1 else 0
    for before, after in itertools.pairwise(measures):
        begins = (after.offset + silence) % bar
        if begins and before.quarterLength + after.quarterLength != bar:
            raise Unfit("bars that are not full")
    return Bars((beats, value), silence)


def read_voice(part: "stream.Part", bars: Bars) -> Voice:
    """The notes of a part: tied ones are one, grace notes are none.

    What lies between two sixteenths goes to the nearest. The highest of a chord counts,
    and notes last until the next at most.

    Raises:
      Unfit: a pitch outside the vocabulary, or no notes.
    """
    found: list[list] = []
    tied = False
    for note in part.flatten().notes:
        if note.duration.isGrace or not note.pitches or "ChordSymbol" in note.classes:
            continue
        begins = note.offset + bars.silence
        start = round(DIVISION * begins)
        end = round(DIVISION * (begins + note.quarterLength))
        pitch = max(pitch.midi for pitch in note.pitches)
        if not events.LOWEST <= pitch <= events.HIGHEST:
            raise Unfit("notes outside C2 to C6")
        fermata = any("Fermata" in mark.classes for mark in note.expressions)
        sung = bool(note.lyrics)
        # A few ties lead to another syllable: such notes are sung anew.
        tied = tied and not (sung and found[-1][4])
        if tied and found[-1][1:3] == [start, pitch]:
            found[-1][1] = end
            found[-1][3] |= fermata
            found[-1][4] |= sung
        elif found and start == found[-1][0]:
            found[-1][2] = max(pitch, found[-1][2])
        elif end > start:
            if found:
                found[-1][1] = min(found[-1][1], start)
            found.append([start, end, pitch, fermata, sung])
        tied = bool(found and note.tie and note.tie.type in ("start", "continue"))
    if not found:
        raise Unfit("no notes")
    starts, ends, pitches, fermatas, _ = np.array(found).T
    notes = np.stack([starts, ends - starts, pitches], axis=1).astype(np.int32)
    return Voice(notes, fermatas.astype(bool))


def read_key(score: "stream.Stream") -> str:
    """The key by Krumhansl and Schmuckler's profiles over all notes, named by sharps."""
    key = score.analyze("KrumhanslSchmuckler")
    tonic = events.PITCH_CLASSES[key.tonic.pitchClass]
    return tonic if key.mode == "major" else tonic.lower()


def example(
    voices: Sequence[Voice], bars: Bars, key: str, title: str
) -> dict[str, object]:
    """A set's example without fermatas and lyrics."""
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
        "metre": np.array(bars.metre, np.int32),
        "key": key,
        "title": title,
    }
