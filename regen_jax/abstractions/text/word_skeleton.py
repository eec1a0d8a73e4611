"""The function words and marks of a text in place, and masks for its other words."""

import dataclasses
import re
from typing import ClassVar

import numpy as np

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature
from regen_jax.metrics.error_rates import token_error_rate
from regen_jax.modalities.text import characters, tokenizer
from regen_jax.modalities.text.function_words import FUNCTION_WORDS, is_function_word
from regen_jax.modalities.text.words import WORD
from regen_jax.ranges import Natural
from regen_jax.spaces import Tokens

MASKS = ("<name>", "<number>", "<-'s>", "<-ing>", "<-ed>", "<-ly>", "<-s>", "<word>")
"""Classes of content words; see `Skeleton`."""
MARKS = tuple('.,;:?!()-"[]')
"""Marks that stay. Other signs do not, nor single quotes, which may be apostrophes."""
SYMBOLS = ("", *MASKS, *sorted(FUNCTION_WORDS), *MARKS)
"""All symbols of a skeleton, the empty one for padding."""

_TOKEN = re.compile(f"{WORD.pattern}|[{re.escape(''.join(MARKS))}]")
_VOWEL = re.compile("[aeiouy]")
_CARDINALS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy
eighty ninety score hundred thousand million
"""


@dataclasses.dataclass(frozen=True)
class Skeleton(HostFeature):
    """A text to its function words in lower case, its marks, and masks, in their order.

    A mask tells the class of a content word, the first of these that fits:

    | mask | a word |
    |---|---|
    | `<number>` | with a digit, or a cardinal such as `two` or `hundred` |
    | `<name>` | with a capital, unless its place explains it |
    | `<-'s>` | in `'s` |
    | `<-ing>` | in `ing` behind a vowel: `going`, not `king` |
    | `<-ed>` | in `ed` behind a vowel, not in `eed`: `blessed`, not `red` or `seed` |
    | `<-ly>` | in `ly` behind three letters or more, one a vowel: `quickly`, not `holy` |
    | `<-s>` | in `s`, but not `ss`, `us` or `is` |
    | `<word>` | of any other kind |

    Its place explains a capital where it begins the text or a mark stands before it, and
    the tokenizer needs no more pieces for the word in lower case: so most names that
    begin a sentence are known.

    `y` counts as a vowel, as in the stems of Porter (An algorithm for suffix stripping,
    1980). These are rules of shape: `evening` is `<-ing>` too.

    Attributes:
      y: padded Tokens whose symbols are the pieces of a tokenizer.
      length: the most words and marks; 0 is as many as pieces of a text.
    """

    human_editable: ClassVar[bool] = True

    input_space: Tokens
    length: Natural = 0

    def __post_init__(self):
        ranges.check(self)
        if not tokenizer.is_pieces(self.input_space):
            raise ValueError(
                "a skeleton is that of padded Tokens of a tokenizer's pieces, not of "
                f"{self.input_space}"
            )

    @property
    def output_space(self) -> Tokens:
        length = self.length or self.input_space.length
        return Tokens(length, len(SYMBOLS), padded=True, symbols=SYMBOLS)

    def extract(self, y: np.ndarray, notes: Example) -> np.ndarray:
        """Ids int32[y_prime.length] of the skeleton of a text int32[y.length].

        Raises:
          UserError: the text has neither words nor marks, or too many of them.
        """
        found = self._tokens(y)
        if not found:
            written = tokenizer.decode(self.input_space, y)
            raise UserError(f"there is no word in {written!r} to make a skeleton of")
        return self._encode(found)

    def to_text(self, y_prime: np.ndarray) -> str:
        """A skeleton int[length] as a line, spaces between its words, masks and marks."""
        return " ".join(characters.decode(self.output_space, y_prime))

    def from_text(self, text: str) -> np.ndarray:
        """Ids int32[length] of a skeleton on one line; case does not matter.

        Raises:
          UserError: it has several lines, nothing at all, something that skeletons do
            not have, or too much.
        """
        lines = text.strip().splitlines()
        if len(lines) != 1:
            raise UserError(
                f"a skeleton is one line, not {len(lines)} lines"
                if lines
                else "the skeleton is empty: at least one word, mask or mark is needed"
            )
        found = tokenizer.normalize(lines[0]).lower().split()
        for place, token in enumerate(found, 1):
            if token not in SYMBOLS:
                raise UserError(
                    f"word {place} of the skeleton, {token!r}, is no function word: write "
                    f"a mask for others ({' '.join(MASKS)}), and a space before marks"
                )
        return self._encode(found)

    def consistency_metrics(
        self, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """`skeleton`: 1 - the edits that turn y′ [N, …] into the skeletons of y [N, …].

        Edits are counted over the words and marks of y′; the share is at least 0.
        """
        wanted = [characters.decode(self.output_space, row) for row in y_prime]
        if not any(wanted):
            return {"skeleton": 0.0}
        edits = token_error_rate(wanted, [self._tokens(row) for row in y])
        return {"skeleton": max(0.0, 1 - edits)}

    def code_metrics(self, y_prime: np.ndarray, other: np.ndarray) -> dict[str, float]:
        """`ter`: the error rate of the words, masks and marks of y′ [N, …]."""
        given, true = (
            [characters.decode(self.output_space, row) for row in ids]
            for ids in (y_prime, other)
        )
        return {"ter": token_error_rate(true, given)}

    def _tokens(self, y: np.ndarray) -> list[str]:
        found = []
        begins = True
        for token in _TOKEN.findall(tokenizer.decode(self.input_space, y)):
            if token in MARKS:
                found.append(token)
            elif is_function_word(token):
                found.append(token.lower())
            else:
                found.append(self._mask(token, begins))
            begins = token in MARKS
        return found

    def _mask(self, word: str, begins: bool) -> str:
        if word.lower() in _CARDINALS.split() or any(map(str.isdigit, word)):
            return "<number>"
        if word[0].isupper() and not (begins and self._explained(word)):
            return "<name>"
        return _class_of(word.lower())

    def _explained(self, word: str) -> bool:
        """Whether a word with a capital may have it for its place alone."""
        try:
            lower = tokenizer.pieces_of(self.input_space, word.lower())
        except UserError:
            return False
        return len(lower) <= len(tokenizer.pieces_of(self.input_space, word))

    def _encode(self, found: list[str]) -> np.ndarray:
        length = self.output_space.length
        if len(found) > length:
            raise UserError(
                f"a skeleton of {len(found)} words and marks does not fit from word "
                f"{length + 1}, {found[length]!r}, on: use fewer, or raise the option "
                "length of the abstraction 'skeleton'"
            )
        return characters.encode(self.output_space, found)


def _class_of(word: str) -> str:
    """The mask of a content word in lower case, by its end."""
    if word.endswith("'s"):
        return "<-'s>"
    if word.endswith("ing") and _VOWEL.search(word[:-3]):
        return "<-ing>"
    if word.endswith("ed") and not word.endswith("eed") and _VOWEL.search(word[:-2]):
        return "<-ed>"
    if word.endswith("ly") and len(word) >= 5 and _VOWEL.search(word[:-2]):
        return "<-ly>"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return "<-s>"
    return "<word>"
