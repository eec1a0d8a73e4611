"""Builds `chorales`: Bach's four-part chorales from the corpus of `music21`."""

from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.chorales.pieces import chorale_files, read_chorales
from regen_jax.data.builders.chorales.tunes import drop_duplicates, split_by_tune
from regen_jax.data.builders.embedded_builder import EmbeddedBuilder


class Chorales(EmbeddedBuilder):
    """267 chorales for training; of other tunes, 36 for validation, 53 for testing."""

    VERSION = tfds.core.Version("2.1.0")
    RELEASE_NOTES: ClassVar = {
        "2.1.0": "The feature `metre` is called `meter`; nothing else changed.",
        "2.0.0": "36 chorales of `train` are `validation`; `test` is as it was.",
        "1.0.0": "The corpus of music21 10.5.1.",
    }

    DESCRIPTION = (
        "Chorales by J. S. Bach in four voices, from high to low. `notes` are "
        "voice, start, duration and MIDI pitch, in sixteenths from a bar line: "
        "a pickup is preceded by silence. `fermatas` are starts of soprano "
        "notes under a fermata, which end a phrase. `lyrics` are the syllables "
        "of the first verse, which end in '-' where the word goes on, and "
        "`lyric_starts` when they are sung. Repeats are not played. `key` is "
        "found by the profiles of Krumhansl and Schmuckler. No tune is in two "
        "splits, in whatever key, meter or ornament."
    )
    HOMEPAGE = "https://www.music21.org"

    def features(self) -> tfds.features.FeatureConnector:
        return music21_corpus.features()

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        splits = split_by_tune(drop_duplicates(read_chorales(chorale_files())))
        return {
            name: self._generate_examples(examples) for name, examples in splits.items()
        }

    def _generate_examples(self, examples: list[dict]) -> Iterator[tuple[int, dict]]:
        yield from enumerate(examples)
