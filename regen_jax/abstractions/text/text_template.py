"""The content words of a text, in order: a template to write a text from."""

import dataclasses
import itertools
import math
import re
from collections import Counter
from typing import ClassVar

import numpy as np

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.function_words import is_function_word
from regen_jax.modalities.text.words import WORD, spell, words
from regen_jax.ranges import Natural, PositiveFraction
from regen_jax.spaces import Tokens

# Other marks may stand within a sentence: `Who then? you may say.`
_FULL_STOP = re.compile(r"""\.["')\]]*$""")


@dataclasses.dataclass(frozen=True)
class Template(HostFeature):
    """A text to its content words, as many of them as `keep` says, in their order.

    The rarest words stay. Function words are the least rare. Among the others a word of
    more pieces is rarer, as the tokenizer has a piece for each frequent word; then one
    whose last learned piece was learned later, as the tokenizer learned pieces in the
    order of their frequency in the train split; then the one that comes first. So
    templates are nested as `keep` grows. A text of function words keeps its rarest.

    The template is a function of the text alone. It is without the capitals that the
    tokenizer has a piece for (see `regen_jax.modalities.text.tokenizer`); with `marks`, only
    without those that the marks explain, as they begin the text or follow a full stop.
    Punctuation and function words that are put into a text or taken out of it do not
    change the template, unless they are asked for.

    Attributes:
      y: padded Tokens whose symbols are the pieces of a tokenizer.
      keep: the share of the content words that stay, in (0, 1], rounded up to whole
        words; where `function_words`, the share of all words.
      function_words: whether function words are among those that can stay; with
        `keep` 1 all words do.
      marks: whether all punctuation stays.
      length: the most pieces of a template; 0 is as many as those of a text.
    """

    human_editable: ClassVar[bool] = True

    input_space: Tokens
    keep: PositiveFraction = 1.0
    function_words: bool = False
    marks: bool = False
    length: Natural = 0

    def __post_init__(self):
        ranges.check(self)
        if not tokenizer.is_pieces(self.input_space):
            raise ValueError(
                "a template is that of padded Tokens of a tokenizer's pieces, not of "
                f"{self.input_space}"
            )

    @property
    def output_space(self) -> Tokens:
        return dataclasses.replace(
            self.input_space, length=self.length or self.input_space.length
        )

    def extract(self, y: np.ndarray, notes: Example) -> np.ndarray:
        """Ids int32[y_prime.length] of the template of a text int32[y.length].

        Raises:
          UserError: the text has no word, or its template too many pieces.
        """
        found = words(self.input_space, y)
        if not found:
            written = tokenizer.decode(self.input_space, y)
            raise UserError(f"there is no word in {written!r} to make a template of")
        grammar = [is_function_word(word.form) for word in found]
        eligible = len(found) if self.function_words else grammar.count(False)
        # Rounded first, as 0.28 * 25 is a little more than 7.
        number = max(1, math.ceil(round(self.keep * eligible, 9)))
        rarity = [
            (not grammar[i], len(word.pieces), max(word.pieces), -i)
            for i, word in enumerate(found)
        ]
        ranked = sorted(range(len(found)), key=rarity.__getitem__, reverse=True)
        kept = set(ranked[:number])
        if not self.marks:
            return self._encode(" ".join(found[i].form for i in sorted(kept)))
        places = itertools.count()
        text = tokenizer.decode(self.input_space, y)
        return self._encode(
            WORD.sub(lambda word: word[0] if next(places) in kept else "", text)
        )

    def to_text(self, y_prime: np.ndarray) -> str:
        """A template int[length] as a line, its words with spaces between them."""
        return tokenizer.decode(self.output_space, y_prime)

    def from_text(self, text: str) -> np.ndarray:
        """Ids int32[length] of a template on one line.

        Capitals are left out as those of a text are.

        Raises:
          UserError: it has several lines, no word, anything that is not a word where
            marks do not stay, an unknown character, or too many pieces.
        """
        lines = text.strip().splitlines()
        if len(lines) != 1:
            raise UserError(
                f"a template is one line of words, not {len(lines)} lines"
                if lines
                else "the template is empty: at least one word is needed"
            )
        text = tokenizer.normalize(lines[0])
        if not WORD.search(text):
            raise UserError(f"there is no word in the template {text!r}")
        for place, chunk in enumerate(text.split(), 1):
            if not self.marks and not WORD.fullmatch(chunk):
                raise UserError(
                    f"word {place} of the template, {chunk!r}, is not made of letters "
                    "and digits alone: write words with spaces between them"
                )
        return self._encode(text)

    def consistency_metrics(
        self, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """`words`: the share of all words of y′ [N, …] that y [N, …] has, in order.

        These are the longest common subsequences, added up over the batch.
        """
        from rapidfuzz.distance import LCSseq

        wanted = [_forms(self.output_space, row) for row in y_prime]
        written = [_forms(self.input_space, row) for row in y]
        common = sum(map(LCSseq.similarity, wanted, written))
        return {"words": common / max(1, sum(map(len, wanted)))}

    def code_metrics(self, y_prime: np.ndarray, other: np.ndarray) -> dict[str, float]:
        """`precision`, `recall` and `f1` of the words of y′ [N, …], in any order.

        `other` are the true ones. Words that occur several times count as often.
        """
        given, true = (
            [Counter(_forms(self.output_space, row)) for row in ids]
            for ids in (y_prime, other)
        )
        common = sum((a & b).total() for a, b in zip(given, true, strict=True))
        sizes = [sum(c.total() for c in counters) for counters in (given, true)]
        return {
            "precision": common / max(1, sizes[0]),
            "recall": common / max(1, sizes[1]),
            "f1": 2 * common / max(1, sum(sizes)),
        }

    def _encode(self, line: str) -> np.ndarray:
        ids = np.zeros(self.output_space.length, np.int32)
        end = 0
        begins = True
        for place, chunk in enumerate(line.split(), 1):
            explained = begins or not self.marks
            try:
                pieces = (spell if explained else tokenizer.pieces_of)(
                    self.input_space, chunk
                )
            except UserError as error:
                raise UserError(f"word {place} of the template: {error}") from error
            if end + len(pieces) > len(ids):
                raise UserError(
                    f"word {place} of a template, {chunk!r}, is beyond its {len(ids)} "
                    "pieces: use fewer words, or raise the option length of the "
                    "abstraction 'template'"
                )
            ids[end : end + len(pieces)] = pieces
            end += len(pieces)
            if _FULL_STOP.search(chunk):
                begins = True
            elif WORD.search(chunk):
                begins = False
        return ids


def _forms(space: Tokens, ids: np.ndarray) -> list[str]:
    return [word.form for word in words(space, ids)]
