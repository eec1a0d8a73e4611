"""Text templates: the content words of a text, in order."""

import dataclasses
import itertools
import math
import re
from collections import Counter
from typing import ClassVar

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.interfaces import Example, HostFeature, Variables
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.function_words import is_function_word
from regen_jax.modalities.text.words import WORD, tokenize_uncased, words
from regen_jax.ranges import Natural, PositiveFraction
from regen_jax.spaces import Tokens

# Other marks may stand within a sentence: `Who then? you may say.`
_FULL_STOP = re.compile(r"""\.["')\]]*$""")


@dataclasses.dataclass(frozen=True)
class TextTemplate(HostFeature):
    """Keeps a fraction of the content words of a text, the rarest, in their order.

    Function words are the least rare. Among content words a word of more pieces is rarer,
    since the tokenizer has a piece for each frequent word; then one whose last learned
    piece was learned later, since pieces are learned in the order of their frequency in
    the train split; then the first one. Templates are therefore nested as `keep` grows. A
    text of function words alone keeps its rarest one.

    The template depends on the text alone. It lacks the capitals that the tokenizer has a
    piece for (see `regen_jax.modalities.text.tokenizer`); with `marks`, it lacks only
    those that marks explain: at the start of the text and after a full stop. Inserting or
    deleting punctuation or function words does not change the template, unless `marks` or
    `function_words` keeps them.

    Attributes:
      input_space: padded Tokens whose symbols are the pieces of a tokenizer.
      keep: fraction of the content words to keep, rounded up to whole words; of all words
        where `function_words`.
      function_words: whether function words can be kept; with `keep` 1 all words are.
      marks: whether to keep all punctuation.
      length: maximum number of pieces; 0 is that of a text.
    """

    human_editable: ClassVar[bool] = True

    input_space: Tokens
    keep: PositiveFraction = 1.0
    function_words: bool = False
    marks: bool = False
    length: Natural = 0

    def __post_init__(self):
        super().__post_init__()
        tokenizer.check_subword_space(self.input_space, "a template")

    @property
    def output_space(self) -> Tokens:
        return dataclasses.replace(
            self.input_space, length=self.length or self.input_space.length
        )

    def extract(self, value: np.ndarray, metadata: Example) -> np.ndarray:
        """Returns ids i32[output_space.length] of a text i32[input_space.length].

        Raises:
          UserError: the text has no word, or its template too many pieces.
        """
        text_words = words(self.input_space, value)
        text = tokenizer.decode(self.input_space, value)
        if not text_words:
            raise UserError(f"there is no word in {quote(text)} to make a template of")
        functional = [is_function_word(word.form) for word in text_words]
        eligible = len(text_words) if self.function_words else functional.count(False)
        # Rounded first, as 0.28 * 25 is a little more than 7.
        number = max(1, math.ceil(round(self.keep * eligible, 9)))
        rarity = [
            (not functional[i], len(word.pieces), max(word.pieces), -i)
            for i, word in enumerate(text_words)
        ]
        ranked = sorted(range(len(text_words)), key=rarity.__getitem__, reverse=True)
        rarest = set(ranked[:number])
        if not self.marks:
            return self._encode(" ".join(text_words[i].form for i in sorted(rarest)))
        indices = itertools.count()
        return self._encode(
            WORD.sub(lambda word: word[0] if next(indices) in rarest else "", text)
        )

    def to_text(self, y_prime: np.ndarray) -> str:
        """Returns a template int[length] as one line of words separated by spaces."""
        return tokenizer.decode(self.output_space, y_prime)

    def from_text(self, text: str) -> np.ndarray:
        """Returns ids i32[length] of a template on one line.

        Capitals are removed as those of a text are.

        Raises:
          UserError: it has several lines, no word, a mark without the option `marks`, an
            unknown character, or too many pieces.
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
            raise UserError(f"there is no word in the template {quote(text)}")
        for place, chunk in enumerate(text.split(), 1):
            if not self.marks and not WORD.fullmatch(chunk):
                raise UserError(
                    f"word {place} of the template, {quote(chunk)}, is not made of "
                    "letters and digits alone: write words with spaces between them"
                )
        return self._encode(text)

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `words`, the fraction of the words of y′ [N, …] that y [N, …] has.

        They are counted in order: longest common subsequences, summed over the batch.
        """
        from rapidfuzz.distance import LCSseq

        templates = [_forms(self.output_space, row) for row in y_prime]
        texts = [_forms(self.input_space, row) for row in y]
        common = sum(map(LCSseq.similarity, templates, texts))
        return {"words": common / max(1, sum(map(len, templates)))}

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `precision`, `recall` and `f1` of the words of y′ [N, …], in any order.

        Words count as often as they occur.
        """
        generated, true = (
            [Counter(_forms(self.output_space, row)) for row in ids]
            for ids in (y_prime, reference)
        )
        common = sum((a & b).total() for a, b in zip(generated, true, strict=True))
        sizes = [sum(c.total() for c in counters) for counters in (generated, true)]
        return {
            "precision": common / max(1, sizes[0]),
            "recall": common / max(1, sizes[1]),
            "f1": 2 * common / max(1, sum(sizes)),
        }

    def _encode(self, line: str) -> np.ndarray:
        ids = np.zeros(self.output_space.length, np.int32)
        end = 0
        after_stop = True
        for place, chunk in enumerate(line.split(), 1):
            explained = after_stop or not self.marks
            try:
                pieces = (tokenize_uncased if explained else tokenizer.tokenize)(
                    self.input_space, chunk
                )
            except UserError as error:
                raise UserError(f"word {place} of the template: {error}") from error
            if end + len(pieces) > len(ids):
                raise UserError(
                    f"word {place} of a template, {quote(chunk)}, is beyond its "
                    f"{len(ids)} pieces: use fewer words, or raise the option length of "
                    "abstraction 'text_template'"
                )
            ids[end : end + len(pieces)] = pieces
            end += len(pieces)
            if _FULL_STOP.search(chunk):
                after_stop = True
            elif WORD.search(chunk):
                after_stop = False
        return ids


def _forms(space: Tokens, ids: np.ndarray) -> list[str]:
    return [word.form for word in words(space, ids)]
