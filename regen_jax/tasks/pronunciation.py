"""Words ↔ phonemes: grapheme to phoneme (G2P) and back (P2G)."""

import collections
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from regen_jax.data.readers.pronunciations import open_pronunciations
from regen_jax.data.tfds.splits import SetOptions
from regen_jax.errors import UserError
from regen_jax.interfaces import CoreList, Example, RunVariables, Task
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.media.markdown import table
from regen_jax.media.media import Media
from regen_jax.metrics.error_rates import nearest_edits
from regen_jax.modalities.text import characters
from regen_jax.modalities.text.pronunciation import PHONES, strip_stress
from regen_jax.ranges import Count
from regen_jax.spaces import Tokens

Symbols = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Pronunciation(SetOptions, Task):
    """X is a word in letters and Y its phonemes, or the other way round.

    Attributes:
      name: a prepared set of words with their ARPAbet phonemes.
      direction: `g2p` (letters to phonemes) or `p2g`.
      stress: whether vowels carry their stress; published error rates are without.
      max_length: of a word and of a pronunciation. Longer ones are left out of the
        examples; a word of a held-out split then counts as wrong.
    """

    num_rendered = 20
    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    name: str = "pronunciations"
    direction: Literal["g2p", "p2g"] = "g2p"
    stress: bool = False
    max_length: Count = 20

    @property
    def x(self) -> Tokens:
        return self._spaces["x"]

    @property
    def y(self) -> Tokens:
        return self._spaces["y"]

    def examples(self, split: str) -> Sequence[Example]:
        """Returns all pairs of word and pronunciation in `train`; elsewhere one per word.

        That one has the first pronunciation that fits.
        """
        return _read(self, split)[0]

    def core_list(self, split: str) -> CoreList:
        """Returns all words of the split; `too_long` are those that exceed `max_length`."""
        examples, too_long = _read(self, split)
        rows = np.arange(len(examples))
        return CoreList(rows, too_long, whole=not too_long)

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"pronunciation reads --text=WORD, not --{kind}")
        g2p = self.direction == "g2p"
        sequence = characters.normalize(value) if g2p else value.upper().split()
        return {"x": characters.encode(self.x, sequence)}

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Computes `symbol_error_rate`, edits per symbol (PER of G2P), `word_error_rate`.

        Any pronunciation that the data set lists for the word is right, and so is any
        spelling that it lists for the phonemes. Edits are to the nearest of them.
        """

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, too_long = generated
            if "y" not in prompts:
                return {}
            _, edits = self._judged(prompts, y, too_long)
            return {
                name: float(np.sum(parts[:, 0]) / np.sum(parts[:, 1]))
                for name, parts in edits.items()
            }

        return metrics

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns each `source` and `output`, and the parts of the metrics of each."""
        prompts, y, too_long = generated
        sources, edits = self._judged(prompts, y, too_long)
        outputs = [*self._words(self.y, y), *("" for _ in too_long)]
        texts = [self._between(self.x).join(source) for source in sources]
        return {"source": texts, "output": outputs} | edits

    def _judged(
        self, prompts: Example, y: np.ndarray, too_long: Sequence[Example]
    ) -> tuple[list[Symbols], dict[str, np.ndarray]]:
        """Returns all x, and by metric the numerators and denominators f64[N, 2]."""
        sources = [tuple(x) for x in self._symbols(self.x, prompts["x"])]
        sources += [next(_pairs(self, **record))[0] for record in too_long]
        outputs = [*self._symbols(self.y, y), *([] for _ in too_long)]
        known = _references(self)
        edits = nearest_edits([known[x] for x in sources], outputs).astype(float)
        wrong = np.stack([edits[:, 0] > 0, np.ones(len(edits))], axis=1)
        return sources, {"symbol_error_rate": edits, "word_error_rate": wrong}

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders a table of sources, outputs and references."""
        columns = {"source": self._words(self.x, prompts["x"])}
        columns["generated"] = self._words(self.y, y)
        if "y" in prompts:
            columns["true"] = self._words(self.y, prompts["y"])
        return Media(texts={"samples": table(columns)})

    @property
    def _spaces(self) -> dict[str, Tokens]:
        unstressed = dict.fromkeys(strip_stress(PHONES))
        letters = characters.character_space(self.max_length, characters.ENGLISH[1:])
        symbols = ("", *(PHONES if self.stress else unstressed))
        phonemes = Tokens(self.max_length, len(symbols), padded=True, symbols=symbols)
        pair = (letters, phonemes) if self.direction == "g2p" else (phonemes, letters)
        return dict(zip("xy", pair, strict=True))

    def _symbols(self, space: Tokens, ids: np.ndarray) -> list[list[str]]:
        return [characters.decode(space, row) for row in np.asarray(ids)]

    def _words(self, space: Tokens, ids: np.ndarray) -> list[str]:
        return [self._between(space).join(s) for s in self._symbols(space, ids)]

    def _between(self, space: Tokens) -> str:
        """Returns the separator of symbols in text: a space for phonemes."""
        phonemes = space == (self.y if self.direction == "g2p" else self.x)
        return " " if phonemes else ""


@functools.lru_cache(maxsize=4)
def _read(
    task: Pronunciation, split: str
) -> tuple[list[dict[str, Any]], tuple[Example, ...]]:
    """Returns the examples of a split, and the words that are too long for one."""
    examples, too_long = [], []
    stored = task.splits.stored(split)
    for word, listed in open_pronunciations(task.name, stored, task.dir):
        pairs = [
            pair
            for pair in _pairs(task, word, listed)
            if max(map(len, pair)) <= task.max_length
        ]
        if not pairs:
            too_long.append({"word": word, "pronunciations": listed})
        for x, y in pairs if split == "train" else pairs[:1]:
            encoded = characters.encode(task.x, x), characters.encode(task.y, y)
            examples.append(dict(zip("xy", encoded, strict=True)))
    return examples, tuple(too_long)


@functools.lru_cache(maxsize=4)
def _references(task: Pronunciation) -> dict[Symbols, list[Symbols]]:
    """Returns all y that the data set lists for each x, in any split, of any length."""
    references = collections.defaultdict(list)
    for split in ("train", "validation", "test"):
        stored = task.splits.stored(split)
        for word, listed in open_pronunciations(task.name, stored, task.dir):
            for x, y in _pairs(task, word, listed):
                references[x].append(y)
    return dict(references)


def _pairs(
    task: Pronunciation, word: str, pronunciations: Sequence[Sequence[str]]
) -> Iterator[tuple[Symbols, Symbols]]:
    """Yields x and y of a word and each of its pronunciations, every pair once."""
    if not task.stress:
        pronunciations = map(strip_stress, pronunciations)
    for phones in dict.fromkeys(map(tuple, pronunciations)):
        pair = tuple(word), phones
        yield pair if task.direction == "g2p" else pair[::-1]
