"""The grammar of captions of moving digits: `a 3 moves left and bounces; a 7 falls`."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.modalities.text import tokenizer
from regen_jax.spaces import Tokens

DIRECTIONS = ("left", "right", "up", "down")
MOTIONS = (
    *(f"moves {direction}" for direction in DIRECTIONS),
    *(f"moves {direction} and bounces" for direction in DIRECTIONS),
    "falls",
    "stands still",
)
NUM_DIGITS = 10
MAX_PARTS = 2
"""The most digits of a clip; no two of them are the same."""
GRAMMAR = (
    "'a DIGIT MOTION', or two of them with different digits as 'a 3 moves left; a 7 "
    "falls', where MOTION is moves left, right, up or down, one of these and bounces, "
    "falls, or stands still"
)

_SEPARATOR = ";"
_DIGITS = tuple(map(str, range(NUM_DIGITS)))
_WORDS = tuple(dict.fromkeys(word for motion in MOTIONS for word in motion.split()))
_LENGTH = MAX_PARTS * (1 + max(len(motion.split()) for motion in MOTIONS)) + 1
SPACE = Tokens(
    _LENGTH,
    2 + NUM_DIGITS + len(_WORDS),
    padded=True,
    symbols=("", _SEPARATOR, *_DIGITS, *_WORDS),
)
"""Captions in words, without articles."""

_FIRST_DIGIT = SPACE.symbols.index(_DIGITS[0])
_FIRST_WORD = SPACE.symbols.index(_WORDS[0])
_PART = re.compile(rf"(?:a |an )?(\d) ({'|'.join(map(re.escape, MOTIONS))})")


class Part(NamedTuple):
    """A digit of a clip.

    Attributes:
      digit: from 0 to 9.
      motion: index in `MOTIONS`.
    """

    digit: int
    motion: int

    def __str__(self) -> str:
        return f"{self.digit} {MOTIONS[self.motion]}"


def parse(caption: str) -> tuple[Part, ...]:
    """Returns the parts of a caption, in its order.

    Case, articles and a period at the end do not matter.

    Raises:
      UserError: it is outside the grammar.
    """
    text = tokenizer.normalize(caption).lower().rstrip(". ")
    matches = [_PART.fullmatch(part.strip()) for part in text.split(_SEPARATOR)]
    parts = tuple(Part(int(m[1]), MOTIONS.index(m[2])) for m in matches if m)
    is_valid = len(parts) == len(matches) <= MAX_PARTS
    if not is_valid or len({part.digit for part in parts}) < len(parts):
        raise UserError(f"{quote(caption)} is no caption of moving digits: {GRAMMAR}")
    return parts


def write(parts: Iterable[Part]) -> str:
    """Returns the caption of parts: the inverse of `parse`."""
    return f"{_SEPARATOR} ".join(f"a {part}" for part in parts)


def encode(parts: Sequence[Part]) -> np.ndarray:
    """Returns the words of parts as i32[SPACE.length]."""
    words = f" {_SEPARATOR} ".join(map(str, parts)).split()
    ids = np.zeros(SPACE.length, np.int32)
    ids[: len(words)] = [SPACE.symbols.index(word) for word in words]
    return ids


def decode(ids: np.ndarray) -> tuple[Part, ...]:
    """Returns the parts of words i32[SPACE.length]: the inverse of `encode`."""
    return parse(" ".join(SPACE.symbols[int(i)] for i in ids if i))


def as_arrays(listed: Sequence[Sequence[Part]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns digits and motions i64[N, MAX_PARTS] of the parts of N captions.

    They are -1 where a caption has no such part.
    """
    none = Part(-1, -1)
    rows = [[*parts, *[none] * (MAX_PARTS - len(parts))] for parts in listed]
    digits, motions = np.array(rows, np.int64).reshape(-1, MAX_PARTS, 2).T
    return digits.T, motions.T


def parts_of(ids: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the parts of a batch of captions within a compiled program.

    Args:
      ids: i32[B, SPACE.length], as of `encode`.

    Returns:
      Digits and motions i32[B, MAX_PARTS], -1 where there is no such part.
    """
    part = jnp.cumsum(ids == SPACE.symbols.index(_SEPARATOR), axis=1)
    # [B, parts, L]: the words of each part, 0 elsewhere.
    words = jnp.where(part[:, None] == jnp.arange(MAX_PARTS)[:, None], ids[:, None], 0)
    is_digit = (words >= _FIRST_DIGIT) & (words < _FIRST_WORD)
    digits = jnp.max(jnp.where(is_digit, words - _FIRST_DIGIT, -1), axis=-1)
    numbers = jnp.arange(_FIRST_WORD, SPACE.vocab)
    has_word = jnp.any(words[..., None] == numbers, axis=2)
    motion_words = np.array([[w in m.split() for w in _WORDS] for m in MOTIONS])
    matches = jnp.all(has_word[:, :, None] == motion_words, axis=-1)
    motions = jnp.argmax(matches, axis=-1)
    return digits, jnp.where(digits < 0, -1, motions)
