"""Words ↔ phonemes: grapheme to phoneme (G2P) and back (P2G)."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regen_jax.data.pronunciations import open_pronunciations
from regen_jax.errors import UserError
from regen_jax.exhibits import Exhibit
from regen_jax.interfaces import Example, Judging, Task, Variables
from regen_jax.language import text as language
from regen_jax.language.pronunciation import PHONES, without_stress
from regen_jax.metrics.error_rates import sequence_error_rate, token_error_rate
from regen_jax.ranges import Count
from regen_jax.spaces import Tokens
from regen_jax.tasks.transcripts import table


@dataclasses.dataclass(frozen=True)
class Pronunciation(Task):
    """X is a word in letters and Y its phonemes, or the other way round.

    Attributes:
      name: a prepared set of words with their ARPAbet phonemes.
      dir: where it is prepared; TFDS's default folder if empty.
      direction: `g2p` (letters to phonemes) or `p2g`.
      stress: whether vowels tell their stress; published error rates are without.
      max_length: of a word and of a pronunciation; longer ones are left out.
    """

    shown = 20

    name: str = "pronunciations"
    dir: str = ""
    direction: str = "g2p"
    stress: bool = False
    max_length: Count = 20

    def __post_init__(self):
        if self.direction not in ("g2p", "p2g"):
            raise ValueError(
                f"direction must be 'g2p' or 'p2g', not {self.direction!r}"
            )
        if self.max_length < 1:
            raise ValueError(f"max_length must be at least 1, not {self.max_length}")

    @property
    def x(self) -> Tokens:
        return self._spaces["x"]

    @property
    def y(self) -> Tokens:
        return self._spaces["y"]

    def examples(self, split: str) -> Sequence[Example]:
        return _words(self, split)

    def read(self, kind: str, value: str) -> Example:
        if kind != "text":
            raise UserError(f"pronunciation reads --text=WORD, not --{kind}")
        g2p = self.direction == "g2p"
        symbols = language.normalize(value) if g2p else value.upper().split()
        return {"x": language.encode(self.x, symbols)}

    def judging(self, variables: Mapping[str, Variables]) -> Judging:
        """`symbol_error_rate`, edits a symbol (PER of G2P), and `word_error_rate`.

        A word counts as wrong unless it is its first pronunciation (or its spelling) to
        the last symbol.
        """

        def figures(prompts: Example, y: np.ndarray) -> dict[str, float]:
            if "y" not in prompts:
                return {}
            true, found = self._symbols(self.y, prompts["y"]), self._symbols(self.y, y)
            return {
                "symbol_error_rate": token_error_rate(true, found),
                "word_error_rate": sequence_error_rate(true, found),
            }

        return figures

    def show(self, prompts: Example, y: np.ndarray) -> Exhibit:
        """Words, what was generated for them, and what is true."""
        columns = {"source": self._words(self.x, prompts["x"])}
        columns["generated"] = self._words(self.y, y)
        if "y" in prompts:
            columns["true"] = self._words(self.y, prompts["y"])
        return Exhibit(texts={"samples": table(list(columns), *columns.values())})

    @property
    def _spaces(self) -> dict[str, Tokens]:
        unstressed = dict.fromkeys(without_stress(PHONES))
        letters = language.characters(self.max_length, language.ENGLISH[1:])
        symbols = ("", *(PHONES if self.stress else unstressed))
        phonemes = Tokens(self.max_length, len(symbols), padded=True, symbols=symbols)
        pair = (letters, phonemes) if self.direction == "g2p" else (phonemes, letters)
        return dict(zip("xy", pair, strict=True))

    def _symbols(self, space: Tokens, ids: np.ndarray) -> list[list[str]]:
        return [language.decode(space, row) for row in np.asarray(ids)]

    def _words(self, space: Tokens, ids: np.ndarray) -> list[str]:
        phonemes = space == (self.y if self.direction == "g2p" else self.x)
        between = " " if phonemes else ""
        return [between.join(s) for s in self._symbols(space, ids)]


@functools.lru_cache(maxsize=4)
def _words(task: Pronunciation, split: str) -> list[dict[str, Any]]:
    pairs = [
        (word, phones if task.stress else without_stress(phones))
        for word, phones in open_pronunciations(task.name, split, task.dir)
        if max(len(word), len(phones)) <= task.max_length
    ]
    if task.direction == "p2g":
        pairs = [(phones, word) for word, phones in pairs]
    return [
        {"x": language.encode(task.x, x), "y": language.encode(task.y, y)}
        for x, y in pairs
    ]
