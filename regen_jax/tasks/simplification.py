"""Text → simpler text: verses of the King James Bible into Basic English."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from regen_jax.data.host_features import Origin
from regen_jax.data.readers.in_memory import InMemoryExamples
from regen_jax.data.readers.verses import Verse, in_core_list, open_verses
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.splits import SetOptions
from regen_jax.errors import UserError
from regen_jax.interfaces import CoreList, Example, Judge, RunVariables, Task
from regen_jax.interfaces.task import Generated, PerExample, PromptKind, SampleMetrics
from regen_jax.judges.language_model import LanguageModel
from regen_jax.media.markdown import table
from regen_jax.media.media import Media
from regen_jax.metrics import text as text_metrics
from regen_jax.modalities.text import tokenizer
from regen_jax.ranges import Count
from regen_jax.spaces import Tokens


@dataclasses.dataclass(frozen=True)
class Simplification(SetOptions, Task):
    """X is a verse and Y the same in simpler words, both in pieces of one tokenizer.

    Attributes:
      name: a prepared set of verses with their simple versions.
      vocab: pieces that the tokenizer learns of the train split, X and Y together.
      max_length: the most pieces of X and of Y; longer pairs are left out, and those of
        a core list score as empty outputs.
      judge_width: of the language model that judges samples.
    """

    num_rendered = 20
    prompt_kinds: ClassVar = {"text": PromptKind("a text to generate from")}

    name: str = "simple_bible"
    vocab: Count = 2000
    max_length: Count = 48
    judge_width: Count = 96

    @property
    def x(self) -> Tokens:
        return self.y

    @property
    def y(self) -> Tokens:
        return tokenizer.subword_space(tuple(self.info["pieces"]), self.max_length)

    def read_info(self) -> dict[str, Any]:
        train = self.splits.stored("train")
        return {"pieces": list(_pieces(self.name, train, self.dir, self.vocab))}

    def examples(self, split: str) -> Sequence[Example]:
        return _verses(self, split)[0]

    def core_list(self, split: str) -> CoreList:
        """Verses of at most 22 words on either side, in the order of the set."""
        return _verses(self, split)[1]

    @property
    def judges(self) -> dict[str, Judge]:
        return {"judge": LanguageModel(self.y, self.judge_width)}

    def parse_prompt(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"simplification reads --text=TEXT, not --{kind}")
        lines = value.strip().splitlines()
        if len(lines) > 1:
            raise UserError(
                f"--text has {len(lines)} lines: give one verse to each --text"
            )
        return {"x": tokenizer.encode(self.x, value)}

    def likelihood_unit(self, y: np.ndarray) -> tuple[str, np.ndarray]:
        """Returns the number of words: of pieces that begin one."""
        begins = [
            piece.startswith(tokenizer.WORD_START) and piece != tokenizer.CAPITAL
            for piece in self.y.symbols
        ]
        return "word", np.maximum(1, np.array(begins)[np.asarray(y)].sum(axis=1))

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Computes BLEU, chrF, SARI and PINC of pairs, perplexity and novelty.

        `bleu`, `chrf` and `sari`, 0 to 100, against the true texts, and `pinc` against
        the sources; of `too_long` they count an empty text each. `source_bleu` and
        `source_sari` are those of the sources themselves, all of them. The rest is of
        what was generated: `perplexity` per piece, by a language model of real Y;
        `novelty`, the fraction of 4-grams that no training text has; `copied`, the
        fraction of texts that stand in one.
        """
        judge = self.judges["judge"]
        train = self.examples("train")
        known = self._texts(np.stack([train[i]["y"] for i in range(len(train))]))

        def metrics(generated: Generated) -> dict[str, float]:
            prompts, y, too_long = generated
            texts = self._texts(y)
            pieces = np.minimum((y != 0).sum(axis=1) + 1, self.max_length).sum()
            values = {
                "perplexity": float(
                    np.exp(judge.nll(variables["judge"], y).sum() / pieces)
                ),
                "novelty": text_metrics.novelty(texts, known),
                "copied": text_metrics.copied_fraction(texts, known),
            }
            if "y" in prompts:
                sources, true, outputs = self._columns(prompts, y, too_long)
                values |= {
                    **self._likeness(true, outputs),
                    "sari": text_metrics.sari(sources, true, outputs),
                    "pinc": text_metrics.pinc(sources, outputs),
                    "source_bleu": text_metrics.bleu(true, sources),
                    "source_sari": text_metrics.sari(sources, true, sources),
                }
            return values

        return metrics

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns source, reference, output and SARI of each pair."""
        prompts, y, too_long = generated
        sources, true, outputs = self._columns(prompts, y, too_long)
        saris = text_metrics.sentence_sari(sources, true, outputs)
        return {
            "source": sources,
            "reference": true,
            "output": outputs,
            "sari": np.stack([saris, np.ones(len(saris))], axis=1),
        }

    def reconstruction_metrics(
        self, y: np.ndarray, other: np.ndarray
    ) -> dict[str, float]:
        """Computes BLEU and chrF of reconstructions from the true Y′."""
        return self._likeness(self._texts(y), self._texts(other))

    def render_samples(self, prompts: Example, y: np.ndarray) -> Media:
        """Renders a table of sources, outputs and references."""
        columns = {"generated": self._texts(y)}
        if "x" in prompts:
            columns = {"source": self._texts(prompts["x"])} | columns
        if "y" in prompts:
            columns["true"] = self._texts(prompts["y"])
        return Media(texts={"samples": table(columns)})

    def render_reconstructions(self, y: np.ndarray, other: np.ndarray) -> Media:
        """Renders a table of texts and their reconstructions."""
        columns = {
            "text": self._texts(y),
            "from the true abstraction": self._texts(other),
        }
        return Media(texts={"reconstructions": table(columns)})

    def _columns(
        self, prompts: Example, y: np.ndarray, too_long: Sequence[Example]
    ) -> tuple[list[str], list[str], list[str]]:
        """Returns sources, references and outputs, which are empty for `too_long`."""
        sources, true = (
            self._texts(prompts[side])
            + [tokenizer.normalize(record[name]) for record in too_long]
            for side, name in (("x", "source"), ("y", "target"))
        )
        return sources, true, self._texts(y) + [""] * len(too_long)

    def _texts(self, ids: np.ndarray) -> list[str]:
        return [tokenizer.decode(self.y, row) for row in np.asarray(ids)]

    @staticmethod
    def _likeness(true: list[str], texts: list[str]) -> dict[str, float]:
        return {
            "bleu": text_metrics.bleu(true, texts),
            "chrf": text_metrics.chrf(true, texts),
        }


@functools.lru_cache(maxsize=4)
def _pieces(name: str, train: str, data_dir: str, vocab: int) -> tuple[str, ...]:
    """Learns pieces of the training split once, and caches them beside it."""
    folder = Path(prepared.require(name, train, data_dir).data_dir)

    def learn() -> tuple[str, ...]:
        verses = open_verses(name, train, data_dir)
        texts = (text for v in verses for text in v[:2])
        return tokenizer.train(texts, vocab, capitals=True)

    try:
        return tokenizer.load_or_train(folder / f"pieces-{train}-{vocab}.json", learn)
    except ValueError as error:
        raise UserError(f"config.data: {error}") from error


@functools.lru_cache(maxsize=8)
def _verses(task: Simplification, split: str) -> tuple[InMemoryExamples, CoreList]:
    """Returns the verses that fit, and the core list of the split."""
    train = task.splits.stored("train")
    default = f"{train}+unpaired" if split == "targets" else ""
    stored = task.splits.stored(split, default)
    verses = list(open_verses(task.name, stored, task.dir))
    space = task.y
    sides = ("y",) if split == "targets" else ("x", "y")
    examples: list[Example] = []
    rows: list[int] = []
    too_long: list[Verse] = []
    for verse in verses:
        texts = {"x": verse.source, "y": verse.target}
        ids = {side: tokenizer.tokenize(space, texts[side]) for side in sides}
        if all(len(row) <= task.max_length for row in ids.values()):
            if in_core_list(verse):
                rows.append(len(examples))
            examples.append({side: _padded(row, task) for side, row in ids.items()})
        elif in_core_list(verse):
            too_long.append(verse)
    folder = Path(prepared.require(task.name, train, task.dir).data_dir)
    return (
        InMemoryExamples(examples, Origin(folder, f"{task} {split}")),
        CoreList(
            np.array(rows, int),
            tuple(verse._asdict() for verse in too_long),
            whole=len(examples) == len(verses),
        ),
    )


def _padded(ids: list[int], task: Simplification) -> np.ndarray:
    row = np.zeros(task.max_length, np.int32)
    row[: len(ids)] = ids
    return row
