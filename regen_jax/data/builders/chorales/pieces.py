"""Reads chorales with their fermatas and lyrics."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.music21_corpus import Bars, UnsuitablePiece, Voice
from regen_jax.data.readers.scores import DIVISION

if TYPE_CHECKING:
    from music21 import stream


def chorale_files() -> list[Path]:
    """Lists the files of the corpus that may hold a chorale.

    Of a piece in several formats, MusicXML is taken.
    """
    paths = sorted(music21_corpus.corpus_folder("bach").glob("bwv*"))
    return list({path.stem: path for path in paths}.values())


def read_chorales(paths: Sequence[Path]) -> list[dict]:
    """Reads the examples of the files that are four-part chorales in one meter."""
    titles = _titles()
    examples = []
    read = music21_corpus.read_pieces(read_chorale, paths, "chorales")
    for path, example in zip(paths, read, strict=True):
        if example is not None:
            number = path.stem.removeprefix("bwv")
            name, number = titles.get(number, ""), f"BWV {number}"
            title = f"{name} ({number})" if name else number
            examples.append(example | {"title": title})
    return examples


def read_chorale(path: Path) -> dict:
    """Reads the example of a file, without a title.

    Raises:
      UnsuitablePiece: it is not a four-part chorale in one meter.
    """
    from music21 import converter

    score = converter.parse(path, forceSource=True)
    if len(score.parts) != 4:
        raise UnsuitablePiece("not four parts")
    bars = music21_corpus.read_bars(score.parts[0])
    voices = [music21_corpus.read_voice(part, bars) for part in score.parts]
    syllables = align_syllables(read_lyrics(score.parts[0], bars), voices[0])
    key = music21_corpus.estimate_key(score)
    return music21_corpus.make_example(voices, bars, key, title="") | {
        "fermatas": fermata_starts(voices),
        "lyrics": list(syllables.values()),
        "lyric_starts": np.array(list(syllables), np.int32),
    }


def fermata_starts(voices: Sequence[Voice]) -> np.ndarray:
    """Returns the starts i32[F] of the soprano notes under a fermata.

    A fermata of another voice goes to the last soprano note that sounds with it, unless
    one of these has its own.
    """
    soprano, *others = voices
    starts, ends = soprano.notes[:, 0], soprano.notes[:, 0] + soprano.notes[:, 1]
    under_fermata = soprano.under_fermata.copy()
    for voice in others:
        for start, duration, _ in voice.notes[voice.under_fermata]:
            together = np.flatnonzero((starts < start + duration) & (ends > start))
            if together.size and not under_fermata[together].any():
                under_fermata[together[-1]] = True
    return starts[under_fermata]


def read_lyrics(part: "stream.Part", bars: Bars) -> list[tuple[int, str]]:
    """Reads starts and syllables of the first verse.

    A repeated section has several lines of text, of which the first is taken; elsewhere
    there may be only one, which the files number 2.
    """
    verse, section = [], []
    for measure in part.getElementsByClass("Measure"):
        left, right = measure.leftBarline, measure.rightBarline
        if left and "Repeat" in left.classes:
            verse, section = verse + _first_line(section), []
        section += [
            (DIVISION * (measure.offset + note.offset + bars.pickup_rest), lyric)
            for note in measure.flatten().notes
            for lyric in note.lyrics
        ]
        if right and "Repeat" in right.classes:
            verse, section = verse + _first_line(section), []
    return verse + _first_line(section)


def align_syllables(lyrics: list[tuple[int, str]], voice: Voice) -> dict[int, str]:
    """Returns syllables by the start of the note that sounds then.

    Of several syllables for one note, the first is taken.
    """
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
            continues = lyric.syllabic in ("begin", "middle")
            syllables.append((round(start), text + "-" * continues))
    return syllables


def _titles() -> dict[str, str]:
    """Returns the German titles that music21 lists by number in Bach's catalog."""
    from music21.corpus import chorales

    lists = (chorales.ChoraleList(), chorales.ChoraleListRKBWV())
    return {
        str(entry["bwv"]): entry["title"]
        for numbers in lists
        for entry in numbers.byRiemenschneider.values()
    }
