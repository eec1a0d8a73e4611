"""The words of a text in pieces, whatever stands around them."""

import re
from typing import NamedTuple

import numpy as np

from regen_jax.modalities.text import tokenizer
from regen_jax.spaces import Tokens

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
"""A word: letters and digits, with apostrophes inside; hyphens part words."""


class Word(NamedTuple):
    """A word of a text, and the ids of its pieces where it stands alone."""

    form: str
    pieces: tuple[int, ...]


def words(space: Tokens, ids: np.ndarray) -> list[Word]:
    """The words of a text int[length], without punctuation.

    Capitals that are pieces of their own, as those that begin sentences, are none of
    theirs: a word has one form wherever it stands.
    """
    text = tokenizer.decode(space, tokenizer.without_capitals(space, ids))
    return [Word(form, spell(space, form)) for form in WORD.findall(text)]


def spell(space: Tokens, text: str) -> tuple[int, ...]:
    """Ids of the pieces of a text or a word, without capitals of their own.

    Raises:
      UserError: a character is unknown.
    """
    ids = np.array(tokenizer.pieces_of(space, text), np.int32)
    return tuple(tokenizer.without_capitals(space, ids).tolist())
