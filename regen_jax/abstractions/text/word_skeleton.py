"""Word skeletons: function words and marks of a text, and masks for its other words."""

import dataclasses
import functools
import re
from typing import ClassVar

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.interfaces import Example, HostFeature, Variables
from regen_jax.metrics.error_rates import token_error_rate
from regen_jax.modalities.text import characters, tokenizer
from regen_jax.modalities.text.function_words import FUNCTION_WORDS, is_function_word
from regen_jax.modalities.text.words import WORD
from regen_jax.ranges import Natural
from regen_jax.spaces import Tokens

MASKS = ("<name>", "<number>", "<-'s>", "<-ing>", "<-ed>", "<-ly>", "<-s>", "<word>")
"""Classes of content words; see `WordSkeleton`."""
MARKS = tuple('.,;:?!()-"[]')
"""Marks that are kept: no other signs, nor single quotes, which may be apostrophes."""
SYMBOLS = ("", *MASKS, *sorted(FUNCTION_WORDS), *MARKS)
"""All symbols of a skeleton; the empty one is padding."""

_TOKEN = re.compile(f"{WORD.pattern}|[{re.escape(''.join(MARKS))}]")
_VOWEL = re.compile("[aeiouy]")
_CARDINALS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy
eighty ninety score hundred thousand million
"""


@dataclasses.dataclass(frozen=True)
class WordSkeleton(HostFeature):
    """Keeps function words in lower case and marks, and masks the other words.

    A mask is the class of a content word, the first of these that matches:

    | mask | a word |
    |---|---|
    | `<number>` | with a digit, or a cardinal such as `two` or `hundred` |
    | `<name>` | with a capital that its position does not explain |
    | `<-'s>` | ending in `'s` |
    | `<-ing>` | ending in `ing` after a vowel: `going`, not `king` |
    | `<-ed>` | ending in `ed` after a vowel, not in `eed`: `blessed`, not `red` or `seed` |
    | `<-ly>` | ending in `ly` after 3 letters or more with a vowel: `quickly`, not `holy` |
    | `<-s>` | ending in `s`, but not in `ss`, `us` or `is` |
    | `<word>` | of any other class |

    A position explains a capital at the start of the text and after a mark, if the
    tokenizer needs no more pieces for the word in lower case: most names that begin a
    sentence need more.

    `y` counts as a vowel, as in the stems of Porter (An algorithm for suffix stripping,
    1980). Classes are of spelling: `evening` is `<-ing>` too.

    Attributes:
      input_space: padded Tokens whose symbols are the pieces of a tokenizer.
      length: maximum number of words and marks; 0 is that of the pieces of a text.
    """

    human_editable: ClassVar[bool] = True

    input_space: Tokens
    length: Natural = 0

    def __post_init__(self):
        super().__post_init__()
        tokenizer.check_subword_space(self.input_space, "a skeleton")

    @property
    def output_space(self) -> Tokens:
        length = self.length or self.input_space.length
        return Tokens(length, len(SYMBOLS), padded=True, symbols=SYMBOLS)

    def extract(self, value: np.ndarray, metadata: Example) -> np.ndarray:
        """Returns ids i32[output_space.length] of a text i32[input_space.length].

        Raises:
          UserError: the text has neither words nor marks, or too many of them.
        """
        tokens = self._tokens(value)
        if not tokens:
            text = tokenizer.decode(self.input_space, value)
            raise UserError(f"there is no word in {quote(text)} to make a skeleton of")
        return self._encode(tokens)

    def to_text(self, y_prime: np.ndarray) -> str:
        """Returns a skeleton int[length] as one line, separated by spaces."""
        return " ".join(characters.decode(self.output_space, y_prime))

    def from_text(self, text: str) -> np.ndarray:
        """Returns ids i32[length] of a skeleton on one line, in any case.

        Raises:
          UserError: it has several lines or none, an unknown symbol, or too many symbols.
        """
        lines = text.strip().splitlines()
        if len(lines) != 1:
            raise UserError(
                f"a skeleton is one line, not {len(lines)} lines"
                if lines
                else "the skeleton is empty: at least one word, mask or mark is needed"
            )
        tokens = tokenizer.normalize(lines[0]).lower().split()
        for place, token in enumerate(tokens, 1):
            if token not in SYMBOLS:
                raise UserError(
                    f"word {place} of the skeleton, {quote(token)}, is no function word: "
                    f"write a mask for others ({' '.join(MASKS)}), and a space before marks"
                )
        return self._encode(tokens)

    def consistency_metrics(
        self, variables: Variables, y: np.ndarray, y_prime: np.ndarray
    ) -> dict[str, float]:
        """Returns `skeleton`: 1 - the token error rate of the skeletons of y [N, …].

        Skeletons y′ [N, …] are the references, and negative values are clipped to 0.
        """
        references = [characters.decode(self.output_space, row) for row in y_prime]
        if not any(references):
            return {"skeleton": 0.0}
        error_rate = token_error_rate(references, [self._tokens(row) for row in y])
        return {"skeleton": max(0.0, 1 - error_rate)}

    def code_metrics(
        self, y_prime: np.ndarray, reference: np.ndarray
    ) -> dict[str, float]:
        """Returns `ter`, the error rate of words, masks and marks of y′ [N, …]."""
        symbols = functools.partial(characters.decode_batch, self.output_space)
        return {"ter": token_error_rate(symbols(reference), symbols(y_prime))}

    def _tokens(self, text_ids: np.ndarray) -> list[str]:
        """Returns the symbols of the skeleton of a text i32[input_space.length]."""
        symbols = []
        after_mark = True
        for token in _TOKEN.findall(tokenizer.decode(self.input_space, text_ids)):
            if token in MARKS:
                symbols.append(token)
            elif is_function_word(token):
                symbols.append(token.lower())
            else:
                symbols.append(self._mask(token, after_mark))
            after_mark = token in MARKS
        return symbols

    def _mask(self, word: str, after_mark: bool) -> str:
        if word.lower() in _CARDINALS.split() or any(map(str.isdigit, word)):
            return "<number>"
        if word[0].isupper() and not (after_mark and self._is_lower_case(word)):
            return "<name>"
        return _suffix_mask(word.lower())

    def _is_lower_case(self, word: str) -> bool:
        """Returns whether a word needs no more pieces in lower case."""
        try:
            lower = tokenizer.tokenize(self.input_space, word.lower())
        except UserError:
            return False
        return len(lower) <= len(tokenizer.tokenize(self.input_space, word))

    def _encode(self, symbols: list[str]) -> np.ndarray:
        length = self.output_space.length
        if len(symbols) > length:
            raise UserError(
                f"a skeleton of {len(symbols)} words and marks does not fit from word "
                f"{length + 1}, {symbols[length]!r}, on: use fewer, or raise the option "
                "length of abstraction 'word_skeleton'"
            )
        return characters.encode(self.output_space, symbols)


def _suffix_mask(word: str) -> str:
    """Returns the mask of a content word in lower case, by its suffix."""
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
