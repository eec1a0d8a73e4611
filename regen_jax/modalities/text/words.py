"""Words of a tokenized text, without punctuation and case of sentence starts."""

import re
from typing import NamedTuple

import numpy as np

from regen_jax.modalities.text import tokenizer
from regen_jax.spaces import Tokens

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
"""Matches letters and digits with inner apostrophes; hyphens separate words."""


class Word(NamedTuple):
    """A word of a text.

    Attributes:
      form: the word as written.
      pieces: ids of its subwords when it is tokenized alone.
    """

    form: str
    pieces: tuple[int, ...]


def words(space: Tokens, ids: np.ndarray) -> list[Word]:
    """Extracts the words of a text, ids int[length], without punctuation.

    Capital marks are removed, so that a word has one form at the start of a sentence and
    within it.
    """
    text = tokenizer.decode(space, tokenizer.drop_capital_marks(space, ids))
    return [Word(form, tokenize_uncased(space, form)) for form in WORD.findall(text)]


def tokenize_uncased(space: Tokens, text: str) -> tuple[int, ...]:
    """Tokenizes a text or word, and removes capital marks.

    Raises:
      UserError: a character is unknown.
    """
    ids = np.array(tokenizer.tokenize(space, text), np.int32)
    return tuple(tokenizer.drop_capital_marks(space, ids).tolist())
