"""Builds `chorales`: Bach's four-part chorales from the corpus of `music21`."""

from typing import ClassVar

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.chorales.pieces import chorale_files, read_chorales
from regen_jax.data.builders.chorales.tunes import drop_duplicates, split_by_tune
from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples


class Chorales(EmbeddedBuilder):
    """267 chorales for training; of other tunes, 36 for validation, 53 for testing."""

    RELEASE_NOTES: ClassVar = {
        **music21_corpus.RELEASE_NOTES,
        "2.0.0": "36 chorales of `train` are `validation`; `test` is as it was.",
    }
    FEATURES: ClassVar = music21_corpus.FEATURES

    def splits(self) -> dict[str, Examples]:
        splits = split_by_tune(drop_duplicates(read_chorales(chorale_files())))
        return {name: enumerate(examples) for name, examples in splits.items()}
