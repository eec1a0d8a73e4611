"""Builds `folk_tunes`: melodies without words from the corpus of `music21`."""

from typing import ClassVar

from regen_jax.data.builders import music21_corpus
from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
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

    RELEASE_NOTES: ClassVar = {
        **music21_corpus.RELEASE_NOTES,
        "2.0.0": "Without tunes of chorales for validation.",
    }
    FEATURES: ClassVar = music21_corpus.FEATURES

    def splits(self) -> dict[str, Examples]:
        data_dir = str(self._data_dir_root)
        prepare("chorales", data_dir)
        held_out = [
            example
            for split in ("validation", "test")
            for example in raw_records.load("chorales", split, data_dir)
        ]
        tunes = drop_tunes_of(held_out, read_tunes(sample_tunes()))
        return {"train": enumerate(tunes)}
