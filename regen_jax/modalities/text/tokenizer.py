"""Subword tokenization of texts by byte pair encoding (BPE).

Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units",
https://aclanthology.org/P16-1162, as implemented by the package `tokenizers`. The
subwords (pieces), in the order in which they were learned, define the tokenizer: they are
the `symbols` of a space, and functions here need only that space. `▁` begins a word;
pieces never join punctuation and letters.

If `▁⇧` is a piece, a capitalized word that is usually in lower case becomes that capital
mark and the word in lower case, so that `And` and `and` share a piece: the inline casing
of Berard et al. (arXiv 1907.06488), except for names.
"""

import contextlib
import functools
import json
import re
import types
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regen_jax.errors import UserError, quote
from regen_jax.extras import require
from regen_jax.files import write_atomically
from regen_jax.spaces import Tokens

if TYPE_CHECKING:
    import tokenizers

WORD_START = "▁"
CAPITAL = f"{WORD_START}⇧"
"""The capital mark: the next word begins with a capital."""
_LETTER = re.compile(r"\w")
_PADDING = "<pad>"
"""Name of id 0 in `tokenizers`, whose tokens cannot be empty."""
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("‘’‚‛ʼ′`´＇", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"ſ": "s", "æ": "ae", "Æ": "Ae", "…": "...", "\ufeff": ""}
)


def normalize(text: str) -> str:
    """Normalizes a text to composed letters, ASCII quotes and dashes, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY).split())


def train(texts: Iterable[str], vocab: int, capitals: bool = False) -> tuple[str, ...]:
    """Learns pieces from texts: padding, their characters and merges of these.

    The result does not depend on the order of the texts.

    Args:
      texts: are normalized first.
      vocab: maximum number of pieces.
      capitals: whether capitalized words that are at least as frequent in lower case are
        split into a capital mark and the lower-case word.

    Raises:
      ValueError: the characters alone are more than `vocab`.
    """
    library = _library()
    texts = list(map(normalize, texts))
    alphabet = set().union(*texts) - {" "}
    # The library allocates `vocab_size` entries in advance, but there are at most as many
    # merges as characters in the words, including their marks.
    words = {word for text in texts for word in text.split()}
    max_size = len(alphabet) + 8 + sum(2 * len(word) + 2 for word in words)
    trainer = library.trainers.BpeTrainer(
        vocab_size=min(vocab, max_size),
        special_tokens=[_PADDING],
        # A capital is a character, even if it is marked in every text.
        initial_alphabet=[WORD_START, *sorted(alphabet)],
        show_progress=False,
    )
    model = _empty_tokenizer()
    model.train_from_iterator(_mark_capitals(texts) if capitals else texts, trainer)
    if model.get_vocab_size() > vocab:
        raise ValueError(
            f"a vocabulary of {vocab} pieces is too small: padding and the characters "
            f"of the texts are {model.get_vocab_size()}"
        )
    return _ordered_pieces(model.get_vocab())


def subword_space(pieces: Sequence[str], length: int) -> Tokens:
    """Returns the space of texts of at most `length` pieces, the first of them `""`."""
    return Tokens(length, len(pieces), padded=True, symbols=tuple(pieces))


def is_subword_space(space: object) -> bool:
    """Returns whether the symbols of a space are pieces of this module."""
    return (
        isinstance(space, Tokens)
        and space.depth == 1
        and space.padded
        and WORD_START in space.symbols
    )


def check_subword_space(space: object, result: str) -> None:
    """Raises a ValueError where a `result` cannot be made of texts in a space."""
    if not is_subword_space(space):
        raise ValueError(
            f"{result} is that of padded Tokens of a tokenizer's pieces, not of {space}"
        )


def encode(space: Tokens, text: str) -> np.ndarray:
    """Tokenizes and pads a text, i32[space.length].

    Raises:
      UserError: the text is empty, has an unknown character, or too many pieces.
    """
    ids = tokenize(space, text)
    if not ids:
        raise UserError("the text is empty: at least one word is needed")
    if len(ids) > space.length:
        raise UserError(
            f"{quote(text)} has {len(ids)} pieces: at most {space.length} fit"
        )
    encoded = np.zeros(space.length, np.int32)
    encoded[: len(ids)] = ids
    return encoded


def tokenize(space: Tokens, text: str) -> list[int]:
    """Tokenizes a text of any length, without padding.

    Words are tokenized independently: the ids of a text are those of its words, joined.

    Raises:
      UserError: the text has a character that no piece has.
    """
    normalized = normalize(text)
    tokenize_word, alphabet = _word_tokenizer(space.symbols)
    if unknown := [character for character in normalized if character not in alphabet]:
        position = normalized.index(unknown[0]) + 1
        raise UserError(
            f"{unknown[0]!r}, character {position} of {quote(normalized)}, is unknown: "
            f"known are {''.join(sorted(alphabet))!r}"
        )
    return [index for word in normalized.split() for index in tokenize_word(word)]


def words(space: Tokens, ids: np.ndarray) -> list[str]:
    """Decodes ids int[length] to words with attached punctuation, up to the first 0.

    Any ids can be decoded, also those that begin within a word.
    """
    row = np.asarray(ids).tolist()
    pieces = [space.symbols[index] for index in row[: [*row, 0].index(0)]]
    decoded = []
    is_capitalized = False
    for word in "".join(pieces).replace(WORD_START, " ").split():
        if word == CAPITAL[1:] and CAPITAL in space.symbols:
            is_capitalized = True
        else:
            decoded.append(_capitalize(word) if is_capitalized else word)
            is_capitalized = False
    return decoded


def decode(space: Tokens, ids: np.ndarray) -> str:
    """Decodes ids int[length] to a normalized text, up to the first 0."""
    return " ".join(words(space, ids))


def drop_capital_marks(space: Tokens, ids: np.ndarray) -> np.ndarray:
    """Removes capital marks from ids int[length]."""
    if CAPITAL not in space.symbols:
        return ids
    return ids[ids != space.symbols.index(CAPITAL)]


def load_or_train(path: Path, train_fn: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Loads pieces from a file; if it is missing, trains them and writes it.

    If the file cannot be written, the next call trains again.

    Args:
      path: a file that `tokenizers.Tokenizer.from_file` can read.
      train_fn: returns the pieces.

    Raises:
      UserError: the file is damaged; other errors are those of `train_fn`.
    """
    try:
        return _ordered_pieces(
            json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
        )
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not a tokenizer: delete it, and run again"
        ) from error
    pieces = tuple(train_fn())
    content = _build_tokenizer(pieces).to_str(pretty=True)
    with contextlib.suppress(OSError):
        write_atomically(path, content)
    return pieces


_WordTokenizer = tuple[Callable[[str], list[int]], frozenset[str]]
"""A function from a word to its ids, and the known characters."""
_by_identity: dict[int, tuple[tuple[str, ...], _WordTokenizer]] = {}


def _word_tokenizer(pieces: tuple[str, ...]) -> _WordTokenizer:
    """Returns the tokenizer of pieces, which are not hashed for each text.

    To hash and compare 8,192 pieces takes longer than to tokenize a sentence.
    """
    _, tokenizer = _by_identity.get(id(pieces), (pieces, None))
    if tokenizer is None:
        tokenizer = _build_word_tokenizer(pieces)
        if len(_by_identity) >= 8:
            _by_identity.clear()
        # The id is that of these pieces as long as they are kept.
        _by_identity[id(pieces)] = pieces, tokenizer
    return tokenizer


@functools.lru_cache(maxsize=8)
def _build_word_tokenizer(pieces: tuple[str, ...]) -> _WordTokenizer:
    tokenizer = _build_tokenizer(pieces)
    characters = {piece for piece in pieces if len(piece) == 1}
    characters -= {WORD_START, CAPITAL[1:]}
    capital = [pieces.index(CAPITAL)] if CAPITAL in pieces else None

    # A language has few frequent words, which are cached.
    @functools.lru_cache(maxsize=2**16)
    def tokenize_word(word: str) -> list[int]:
        ids = tokenizer.encode(word).ids
        lowercase = capital and _lowercase_first(word)
        if not lowercase or not characters.issuperset(lowercase):
            return ids
        lowercase_ids = tokenizer.encode(lowercase).ids
        # The more frequent spelling has fewer pieces, or pieces that were learned earlier.
        is_shorter = (len(lowercase_ids), max(lowercase_ids)) < (len(ids), max(ids))
        return capital + lowercase_ids if is_shorter else ids

    return tokenize_word, frozenset(characters | {" "})


def _lowercase_first(word: str) -> str | None:
    """Converts the first letter to lower case; None if that is not reversible."""
    first = _LETTER.search(word)
    if not first or not first[0].isupper():
        return None
    position = first.start()
    lowercase = word[:position] + word[position].lower() + word[position + 1 :]
    return lowercase if _capitalize(lowercase) == word else None


def _capitalize(word: str) -> str:
    """Converts the first letter to upper case."""
    return _LETTER.sub(lambda letter: letter[0].upper(), word, count=1)


def _mark_capitals(texts: Sequence[str]) -> list[str]:
    """Writes `⇧` and lower case for words that are at least as frequent in lower case."""
    counts = Counter(word for text in texts for word in text.split())

    def mark(word: str) -> str:
        lowercase = _lowercase_first(word)
        if lowercase is None or counts[lowercase] < counts[word]:
            return word
        return f"{CAPITAL[1:]} {lowercase}"

    return [" ".join(map(mark, text.split())) for text in texts]


def _build_tokenizer(pieces: Sequence[str]) -> "tokenizers.Tokenizer":
    """Builds the tokenizer of pieces without the merges that were learned.

    Any two neighbors whose concatenation is a piece merge, earlier pieces first.
    """
    vocab = {piece or _PADDING: index for index, piece in enumerate(pieces)}
    merges = []
    for piece in pieces:
        splits = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        pairs = [
            (left, right) for left, right in splits if {left, right} <= vocab.keys()
        ]
        merges += sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    return _empty_tokenizer(_library().models.BPE(vocab=vocab, merges=merges))


def _empty_tokenizer(
    model: "tokenizers.models.Model | None" = None,
) -> "tokenizers.Tokenizer":
    library = _library()
    tokenizer = library.Tokenizer(model or library.models.BPE())
    # A punctuation mark is a word of its own, with an optional word start before it.
    marks = library.Regex(rf"{WORD_START}?[^\w'{WORD_START}]")
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Metaspace(WORD_START),
            library.pre_tokenizers.Split(marks, "isolated"),
        ]
    )
    tokenizer.decoder = library.decoders.Metaspace(WORD_START)
    return tokenizer


def _ordered_pieces(vocab: dict[str, int]) -> tuple[str, ...]:
    """Orders pieces by id, and replaces the name of padding by `""`."""
    ordered = sorted(vocab, key=vocab.__getitem__)
    if ordered[0] != _PADDING or WORD_START not in vocab:
        raise ValueError("the vocabulary is not one of `train`")
    return ("", *ordered[1:])


def _library() -> types.ModuleType:
    return require("tokenizers", "text", "the tokenization of texts")
