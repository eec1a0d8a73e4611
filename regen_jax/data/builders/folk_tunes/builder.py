"""Builds `folk_tunes`: melodies without words from the corpus of `music21`."""

from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.embedded_builder import EmbeddedBuilder
from regen_jax.data.builders.folk_tunes.tunes import (
    drop_tunes_of,
    read_tunes,
    sample_tunes,
)
from regen_jax.data.readers import raw_records
from regen_jax.data.tfds.prepare import prepare


class FolkTunes(EmbeddedBuilder):
    """830 melodies of British, Irish and American folk tunes, for training alone.

    They have no words, and so are never a pair to hold out: `train` is the only split.
    """

    VERSION = tfds.core.Version("2.1.0")
    RELEASE_NOTES: ClassVar = {
        "2.1.0": "The feature `metre` is called `meter`; nothing else changed.",
        "2.0.0": "Without tunes of chorales for validation.",
        "1.0.0": "The corpus of music21 10.5.1.",
    }

    DESCRIPTION = (
        "Melodies of Aird's Airs, O'Neill's Music of Ireland, Ryan's Mammoth "
        "Collection and two smaller books; none is the tune of a held-out "
        "chorale. `notes` are voice (0), start, duration and MIDI pitch, in "
        "sixteenths from a bar line: a pickup is preceded by silence. Repeats "
        "are not played. `key` is found by the profiles of Krumhansl and "
        "Schmuckler. There are no fermatas and no lyrics."
    )
    HOMEPAGE = "https://www.music21.org"

    def features(self) -> tfds.features.FeatureConnector:
        return music21_corpus.features()

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
        yield from enumerate(drop_tunes_of(held_out, read_tunes(sample_tunes())))
