"""Encoding of texts by characters, or of other sequences of symbols, as ids."""

import functools
import re
import string
import unicodedata
from collections.abc import Sequence

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.spaces import Tokens

ENGLISH = (" ", "'", *string.ascii_lowercase)
"""Characters of normalized English texts."""
SPANISH = (" ", *string.ascii_lowercase, *"áéíñóúü")
"""Characters of normalized Spanish texts."""

_MARKS = str.maketrans(dict.fromkeys("’ʼ＇", "'") | dict.fromkeys("‘‛`´′‵ʹ", "‘"))
"""Apostrophes, and quotes, accents and primes, which are apostrophes within a word."""
_QUOTE_IN_WORD = re.compile(r"(?<=\w)‘(?=\w)")
_LONE_APOSTROPHES = re.compile(r"(?<!\w)'+(?!\w)")


def normalize(text: str) -> str:
    """Normalizes a text to lower case, composed letters and single spaces.

    Runs of punctuation and spaces become one space, and apostrophes of any form `'`.
    Digits, symbols such as `$` and letters of any language are kept; `encode` rejects
    unknown ones. Full-width letters and ligatures are normalized (NFKC), and invisible
    characters such as a byte-order mark removed.
    """
    text = text.translate(_MARKS)
    if "‘" in text:
        text = _QUOTE_IN_WORD.sub("'", text)
    text = unicodedata.normalize("NFKC", text).lower().translate(_NORMALIZED)
    if "'" in text:
        text = _LONE_APOSTROPHES.sub(" ", text)
    return " ".join(text.split())


def encode(space: Tokens, text: Sequence[str]) -> np.ndarray:
    """Encodes a text or sequence of symbols as ids, 0 after its end.

    Args:
      space: names its ids by `symbols`.
      text: a normalized text, or a sequence of symbols.

    Returns:
      i32[space.length].

    Raises:
      UserError: the text is empty, longer than the space, or has an unknown symbol.
    """
    ids = _ids(space)
    if not len(text):
        raise UserError("the text is empty: at least one symbol is needed")
    if unknown := [symbol for symbol in text if symbol not in ids]:
        known = ", ".join(repr(symbol) for symbol in ids)
        raise UserError(
            f"{quote(unknown[0])} in {_quote(text)} is unknown: known are {known}"
        )
    if len(text) > space.length or (len(text) < space.length and not space.padded):
        limit = "at most" if space.padded else "exactly"
        raise UserError(
            f"{_quote(text)} has {len(text)} symbols: {limit} {space.length} fit"
        )
    encoded = np.zeros(space.length, np.int32)
    encoded[: len(text)] = [ids[symbol] for symbol in text]
    return encoded


def decode(space: Tokens, ids: np.ndarray) -> list[str]:
    """Decodes ids int[length] to symbols, up to the first 0 if the space is padded."""
    symbols = [space.symbols[index] for index in np.asarray(ids).tolist()]
    if space.padded and "" in symbols:
        return symbols[: symbols.index("")]
    return symbols


def decode_batch(space: Tokens, ids: np.ndarray) -> list[list[str]]:
    """Decodes each row of ids int[N, length]."""
    return [decode(space, row) for row in ids]


def decode_text(space: Tokens, ids: np.ndarray) -> str:
    """Decodes ids int[length] to a text, the joined symbols of `decode`."""
    return "".join(decode(space, ids))


def character_space(length: int, alphabet: Sequence[str] = ENGLISH) -> Tokens:
    """Returns the space of texts of at most `length` characters of an alphabet."""
    symbols = ("", *alphabet)
    return Tokens(length, len(symbols), padded=True, symbols=symbols)


@functools.lru_cache(maxsize=64)
def _ids(space: Tokens) -> dict[str, int]:
    if not space.symbols:
        raise ValueError(f"{space} has no symbols")
    ids = {symbol: index for index, symbol in enumerate(space.symbols)}
    if space.padded:
        del ids[""]
    return ids


class _NormalizedCharacters(dict[int, str]):
    """By code point, the character; a space if it separates; nothing if invisible."""

    def __missing__(self, code: int) -> str:
        self[code] = _normalize_character(chr(code))
        return self[code]


_NORMALIZED = _NormalizedCharacters()


def _normalize_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" and character != "\u200b":
        return ""
    is_separator = character.isspace() or category.startswith("P") or category == "Cf"
    return " " if is_separator and character != "'" else character


def _quote(text: Sequence[str]) -> str:
    return quote(text if isinstance(text, str) else " ".join(text))
