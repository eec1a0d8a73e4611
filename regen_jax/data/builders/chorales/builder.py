"""Bach's four-part chorales from the corpus of `music21`, as a TFDS set."""

import collections
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.folk_tunes import tune_similarity
from regen_jax.data.builders.music21_corpus import DIVISION, Bars, Unfit, Voice

if TYPE_CHECKING:
    from music21 import stream

logger = logging.getLogger(__name__)

TEST_FRACTION = 0.15
VALIDATION_FRACTION = 0.1
SPLIT_SEED = 0
SAME_TUNE = 0.55
SAME_TITLE_AND_TUNE = 0.4
"""Similarities from which on two melodies count as one tune. Among chorales of one
title, settings of the same tune have 0.45 or more, and different tunes 0.37 or less."""


class Chorales(tfds.core.GeneratorBasedBuilder):
    """267 chorales to train on, and with other tunes 36 to validate and 53 to test on."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "36 chorales of `train` are `validation`; `test` is as it was.",
        "1.0.0": "The corpus of music21 10.5.1.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Chorales by J. S. Bach in four voices, from high to low. `notes` are "
                "voice, start, duration and MIDI pitch, in sixteenths from a bar line: "
                "a pickup is preceded by silence. `fermatas` are starts of soprano "
                "notes under a fermata, which end a phrase. `lyrics` are the syllables "
                "of the first verse, which end in '-' where the word goes on, and "
                "`lyric_starts` when they are sung. Repeats are not played. `key` is "
                "found by the profiles of Krumhansl and Schmuckler. No tune is in two "
                "splits, in whatever key, metre or ornament."
            ),
            features=music21_corpus.features(),
            homepage="https://www.music21.org",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        splits = split_by_tune(distinct(read_pieces(pieces())))
        return {
            name: self._generate_examples(examples) for name, examples in splits.items()
        }

    def _generate_examples(self, examples: list[dict]) -> Iterator[tuple[int, dict]]:
        yield from enumerate(examples)


def pieces() -> list[Path]:
    """Files of the corpus that may hold a chorale; MusicXML where there is another."""
    paths = sorted(music21_corpus.folder("bach").glob("bwv*"))
    return list({path.stem: path for path in paths}.values())


def read_pieces(paths: Sequence[Path]) -> list[dict]:
    """Examples of those that are four-part chorales in one metre."""
    titles = _titles()
    read = music21_corpus.read_all(read_piece, paths, "chorales")
    left_out = collections.Counter(reason for reason in read if isinstance(reason, str))
    logger.info("left out: %s", dict(left_out))
    found = []
    for path, example in zip(paths, read, strict=True):
        if not isinstance(example, str):
            number = path.stem.removeprefix("bwv")
            name, number = titles.get(number, ""), f"BWV {number}"
            title = f"{name} ({number})" if name else number
            found.append(example | {"title": title})
    return found


def read_piece(path: Path) -> dict | str:
    """The example of a file, or why it is not one."""
    from music21 import converter

    score = converter.parse(path, forceSource=True)
    if len(score.parts) != 4:
        return "not four parts"
    try:
        bars = music21_corpus.read_bars(score.parts[0])
        voices = [music21_corpus.read_voice(part, bars) for part in score.parts]
    except Unfit as reason:
        return str(reason)
    syllables = sung(read_lyrics(score.parts[0], bars), voices[0])
    return music21_corpus.example(voices, bars, music21_corpus.read_key(score), "") | {
        "fermatas": fermatas(voices),
        "lyrics": list(syllables.values()),
        "lyric_starts": np.array(list(syllables), np.int32),
    }


def fermatas(voices: Sequence[Voice]) -> np.ndarray:
    """int32 [F]: starts of soprano notes under a fermata.

    A fermata of another voice goes to the last soprano note in its time, unless one
    there has its own.
    """
    soprano, *others = voices
    starts, ends = soprano.notes[:, 0], soprano.notes[:, 0] + soprano.notes[:, 1]
    under = soprano.under_fermata.copy()
    for voice in others:
        for start, duration, _ in voice.notes[voice.under_fermata]:
            together = np.flatnonzero((starts < start + duration) & (ends > start))
            if together.size and not under[together].any():
                under[together[-1]] = True
    return starts[under]


def read_lyrics(part: "stream.Part", bars: Bars) -> list[tuple[int, str]]:
    """Starts and syllables of the first verse.

    What is repeated has several lines of text, of which the first counts; elsewhere
    there may be but one, which the files number 2.
    """
    found, section = [], []
    for measure in part.getElementsByClass("Measure"):
        left, right = measure.leftBarline, measure.rightBarline
        if left and "Repeat" in left.classes:
            found, section = found + _first_line(section), []
        section += [
            (DIVISION * (measure.offset + note.offset + bars.silence), lyric)
            for note in measure.flatten().notes
            for lyric in note.lyrics
        ]
        if right and "Repeat" in right.classes:
            found, section = found + _first_line(section), []
    return found + _first_line(section)


def sung(lyrics: list[tuple[int, str]], voice: Voice) -> dict[int, str]:
    """Syllables by the start of the note that sounds then, the first of each note."""
    starts = voice.notes[:, 0]
    syllables: dict[int, str] = {}
    for start, text in lyrics:
        note = np.searchsorted(starts, start, side="right") - 1
        syllables.setdefault(int(starts[note]), text)
    return syllables


def _first_line(lyrics: list[tuple]) -> list[tuple[int, str]]:
    first = min((lyric.number for _, lyric in lyrics), default=1)
    syllables = []
    for start, lyric in lyrics:
        text = re.sub(r"^\d+\.|[\s–]", "", lyric.text or "").replace("’", "'")
        if lyric.number == first and text:
            goes_on = lyric.syllabic in ("begin", "middle")
            syllables.append((round(start), text + "-" * goes_on))
    return syllables


def melody(example: dict) -> np.ndarray:
    """The skeleton of an example's first voice."""
    notes = example["notes"]
    return tune_similarity.skeleton(
        notes[notes[:, 0] == 0, 1:], 16 // example["metre"][1]
    )


def distinct(examples: list[dict]) -> list[dict]:
    """Without those whose notes are those of another, in whatever key."""
    by_notes: dict[bytes, dict] = {}
    for example in sorted(examples, key=lambda example: not len(example["lyrics"])):
        notes = example["notes"] - [0, 0, 0, example["notes"][0, 3]]
        by_notes.setdefault(notes.tobytes(), example)
    kept = {id(example) for example in by_notes.values()}
    return [example for example in examples if id(example) in kept]


def group_by_tune(examples: list[dict]) -> list[list[int]]:
    """Indices of the examples, those of one tune together."""
    plain = [re.sub(r"\(?bwv.*|[^a-zäöüß]", "", e["title"].lower()) for e in examples]
    names = [title or index for index, title in enumerate(plain)]
    return tune_similarity.group(
        [melody(example) for example in examples],
        names,
        SAME_TUNE,
        SAME_TITLE_AND_TUNE,
    )


def split_by_tune(examples: list[dict]) -> dict[str, list[dict]]:
    """Examples of `train`, `validation` and `test`; those of one tune are in the same.

    The tunes are permuted by NumPy's `RandomState(0)`, whose stream NumPy promises
    never to change. In this order they fill up test where they fit, and those that do
    not, validation.
    """
    groups = group_by_tune(examples)
    chosen: dict[str, set[int]] = {"test": set(), "validation": set()}
    fractions = (TEST_FRACTION, VALIDATION_FRACTION)
    room = dict(zip(chosen, (round(f * len(examples)) for f in fractions), strict=True))
    for index in np.random.RandomState(SPLIT_SEED).permutation(len(groups)):
        for name, members in chosen.items():
            if len(members) + len(groups[index]) <= room[name]:
                members.update(groups[index])
                break
    chosen["train"] = set(range(len(examples))).difference(*chosen.values())
    return {
        name: [example for i, example in enumerate(examples) if i in chosen[name]]
        for name in ("train", "validation", "test")
    }


def _titles() -> dict[str, str]:
    """German titles by the number in Bach's catalogue, as far as music21 lists them."""
    from music21.corpus import chorales

    lists = (chorales.ChoraleList(), chorales.ChoraleListRKBWV())
    return {
        str(entry["bwv"]): entry["title"]
        for numbers in lists
        for entry in numbers.byRiemenschneider.values()
    }
