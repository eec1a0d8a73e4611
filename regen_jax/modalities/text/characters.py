"""Between texts, or sequences of phonemes, and ids."""

import functools
import re
import string
import unicodedata
from collections.abc import Sequence

import numpy as np

from regen_jax.errors import UserError
from regen_jax.spaces import Tokens

ENGLISH = (" ", "'", *string.ascii_lowercase)
"""Characters of normalized English."""
SPANISH = (" ", *string.ascii_lowercase, *"áéíñóúü")
"""Characters of normalized Spanish."""


_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ＇", "'"))
_QUOTES = str.maketrans(dict.fromkeys("‘‛`´′‵ʹ", "‘"))
"""Marks that are apostrophes only within a word: quotes, accents, primes."""
_WITHIN = re.compile(r"(?<=\w)‘(?=\w)")
_ALONE = re.compile(r"(?<!\w)'+(?!\w)")


def normalize(text: str) -> str:
    """Lower case, composed letters, one space for any run of punctuation and spaces.

    Apostrophes of any form become `'`. Digits, symbols such as `$` and letters of any
    language are kept; `encode` refuses unknown ones. Full-width letters and ligatures are
    normalized (NFKC), and invisible characters such as a byte-order mark removed.
    """
    text = _WITHIN.sub("'", text.translate(_APOSTROPHES).translate(_QUOTES))
    text = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(_plain(character) for character in text)
    return " ".join(_ALONE.sub(" ", kept).split())


def encode(space: Tokens, text: Sequence[str]) -> np.ndarray:
    """Ids int32[space.length] of a text, or of a sequence of symbols, 0 behind its end.

    Raises:
      UserError: the text is empty, longer than the space, or has an unknown symbol.
    """
    ids = _ids(space)
    if not len(text):
        raise UserError("the text is empty: at least one symbol is needed")
    if unknown := [symbol for symbol in text if symbol not in ids]:
        known = ", ".join(repr(symbol) for symbol in ids)
        raise UserError(
            f"{unknown[0]!r} in {_quote(text)} is unknown: known are {known}"
        )
    if len(text) > space.length or (len(text) < space.length and not space.padded):
        most = "at most" if space.padded else "exactly"
        raise UserError(
            f"{_quote(text)} has {len(text)} symbols: {most} {space.length} fit"
        )
    encoded = np.zeros(space.length, np.int32)
    encoded[: len(text)] = [ids[symbol] for symbol in text]
    return encoded


def decode(space: Tokens, ids: np.ndarray) -> list[str]:
    """Symbols of ids int[length], up to the first 0 where the space is padded."""
    symbols = [space.symbols[index] for index in np.asarray(ids).tolist()]
    if space.padded and "" in symbols:
        return symbols[: symbols.index("")]
    return symbols


def decode_text(space: Tokens, ids: np.ndarray) -> str:
    """The text whose characters have these ids: `decode`, joined."""
    return "".join(decode(space, ids))


def character_space(length: int, known: Sequence[str] = ENGLISH) -> Tokens:
    """The space of texts of at most `length` of the known characters."""
    symbols = ("", *known)
    return Tokens(length, len(symbols), padded=True, symbols=symbols)


@functools.lru_cache(maxsize=64)
def _ids(space: Tokens) -> dict[str, int]:
    if not space.symbols:
        raise ValueError(f"{space} has no symbols to encode by")
    ids = {symbol: index for index, symbol in enumerate(space.symbols)}
    if space.padded:
        del ids[""]
    return ids


@functools.lru_cache(maxsize=2**12)
def _plain(character: str) -> str:
    """The character itself, a space where it separates, nothing if it is invisible."""
    category = unicodedata.category(character)
    if category == "Cf" and character != "\u200b":
        return ""
    separates = character.isspace() or category.startswith("P") or category == "Cf"
    return " " if separates and character != "'" else character


def _quote(text: Sequence[str]) -> str:
    written = text if isinstance(text, str) else " ".join(text)
    return repr(written if len(written) <= 60 else f"{written[:57]}...")
