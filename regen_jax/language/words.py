"""The words of a text in pieces, whatever stands around them and however they begin."""

import functools
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from regen_jax.language import tokenizer
from regen_jax.spaces import Tokens

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
"""A word: letters and digits, with apostrophes inside; hyphens part words."""


class Word(NamedTuple):
    """A word of a text, in its usual case, and the ids of its pieces."""

    form: str
    pieces: tuple[int, ...]


def words(space: Tokens, ids: np.ndarray) -> list[Word]:
    """The words of a text int[length], without punctuation, each in its usual case.

    That is lower case or with a capital, whichever the data that the tokenizer was
    trained on seem to have more often: the form of fewer pieces, or else the one whose
    pieces were learned earlier, which now and then misses a rare word. The case in
    the text counts only for words whose letters the tokenizer knows in no other, so that
    a word has one form wherever it stands.
    """
    written = WORD.findall(tokenizer.decode(space, ids))
    return list(map(speller(space.symbols), written))


@functools.lru_cache(maxsize=8)
def speller(symbols: tuple[str, ...]) -> Callable[[str], Word]:
    """What spells a word by these pieces; `UserError` for an unknown character."""
    space = tokenizer.pieces_space(symbols, 1)

    def known(form: str) -> bool:
        return all(character in symbols for character in form)

    @functools.lru_cache(maxsize=2**16)
    def spell(word: str) -> Word:
        forms = [form for form in (word.capitalize(), word.lower()) if known(form)]
        spelt = [
            Word(form, tuple(tokenizer.pieces_of(space, form)))
            for form in forms or [word]
        ]
        return min(spelt, key=lambda word: (len(word.pieces), max(word.pieces)))

    return spell
