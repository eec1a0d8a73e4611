"""Folk tunes from the corpus of `music21`, as a TFDS set."""

import collections
import logging
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.chorales import builder as chorales
from regen_jax.data.builders.folk_tunes import tune_similarity
from regen_jax.data.builders.music21_corpus import Unfit
from regen_jax.data.prepare import prepare
from regen_jax.data.readers import raw_records

logger = logging.getLogger(__name__)

BOOKS = ("airdsAirs", "miscFolk", "oneills1850", "ryansMammoth")
MAX_TUNES = 1_000
SEED = 0


class FolkTunes(tfds.core.GeneratorBasedBuilder):
    """830 melodies of British, Irish and American folk tunes, for training alone.

    They have no words, and so are never a pair to hold out: `train` is all there is.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "2.0.0": "Without tunes of chorales for validation.",
        "1.0.0": "The corpus of music21 10.5.1.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Melodies of Aird's Airs, O'Neill's Music of Ireland, Ryan's Mammoth "
                "Collection and two smaller books; none is the tune of a held-out "
                "chorale. `notes` are voice (0), start, duration and MIDI pitch, in "
                "sixteenths from a bar line: a pickup is preceded by silence. Repeats "
                "are not played. `key` is found by the profiles of Krumhansl and "
                "Schmuckler. There are no fermatas and no lyrics."
            ),
            features=music21_corpus.features(),
            homepage="https://www.music21.org",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict]]:
        data_dir = str(self._data_dir_root)
        prepare("chorales", data_dir)
        held_out = [
            example
            for split in ("validation", "test")
            for example in raw_records.load("chorales", split, data_dir)
        ]
        yield from enumerate(without(held_out, read_pieces(pieces())))


def pieces() -> list[str]:
    """1,000 tunes of the books in ABC notation, the same ones everywhere.

    Those with first and second endings, or with several voices, are not among them.
    """
    files = [
        file for book in BOOKS for file in music21_corpus.folder(book).glob("*.abc")
    ]
    texts = [
        file.read_text(encoding="utf-8", errors="replace") for file in sorted(files)
    ]
    found = [
        tune
        for text in texts
        for tune in re.split(r"^(?=X:)", text, flags=re.MULTILINE)[1:]
        if not re.search(r"[\[|] ?[12]|^V:", tune, re.MULTILINE)
    ]
    order = np.random.RandomState(SEED).permutation(len(found))[:MAX_TUNES]
    return [found[index] for index in sorted(order)]


def read_pieces(texts: Sequence[str]) -> list[dict]:
    """Examples of those that are one voice in one metre with full bars."""
    read = music21_corpus.read_all(read_piece, texts, "folk tunes")
    left_out = collections.Counter(reason for reason in read if isinstance(reason, str))
    logger.info("left out: %s", dict(left_out))
    return [example for example in read if not isinstance(example, str)]


def read_piece(text: str) -> dict | str:
    """The example of a tune in ABC notation, or why it is not one."""
    from music21 import converter
    from music21.exceptions21 import Music21Exception

    try:
        score = converter.parse(text, format="abc")
        if len(score.parts) != 1:
            return "not one part"
        bars = music21_corpus.read_bars(score.parts[0])
        voice = music21_corpus.read_voice(score.parts[0], bars)
    except Unfit as reason:
        return str(reason)
    except (Music21Exception, LookupError, TypeError, ValueError) as error:
        return f"not read: {type(error).__name__}"
    title = re.search(r"^T: *(.*?)\s*$", text, re.MULTILINE)
    return music21_corpus.example(
        [voice], bars, music21_corpus.read_key(score), title[1] if title else ""
    )


def without(held_out: Sequence[dict], examples: list[dict]) -> list[dict]:
    """The examples that are not the tune of a chorale.

    Beats are compared with beats, and with halves of them: what is a crotchet in a
    chorale may be a minim.
    """
    melodies = [chorales.melody(chorale) for chorale in held_out]
    nearest = np.zeros(len(examples))
    for steps in (4, 6, 8):
        skeletons = [
            tune_similarity.skeleton(e["notes"][:, 1:], steps) for e in examples
        ]
        for chorale in melodies:
            nearest = np.maximum(
                nearest, tune_similarity.similarities(chorale, skeletons)
            )
    kept = [
        example
        for example, similarity in zip(examples, nearest, strict=True)
        if similarity < chorales.SAME_TUNE
    ]
    logger.info("left out: %d tunes of held-out chorales", len(examples) - len(kept))
    return kept
