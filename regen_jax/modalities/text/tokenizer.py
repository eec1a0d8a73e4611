"""Texts as the pieces of words that byte pair encoding learns.

Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units",
https://aclanthology.org/P16-1162, as the package `tokenizers` has it. The pieces, in the
order in which they were learned, say everything: they are the `symbols` of a space, and
every function here needs nothing but that space. `▁` begins a word; pieces never join
punctuation and letters.

Where `▁⇧` is a piece, a word that begins a sentence is that piece and then the word in
lower case, so that `And` and `and` are not strangers to each other: the inline casing of
Berard et al. (arXiv 1907.06488), of which names are excepted.
"""

import functools
import json
import os
import re
import types
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regen_jax.errors import UserError
from regen_jax.spaces import Tokens

if TYPE_CHECKING:
    import tokenizers

WORD_START = "▁"
CAPITAL = f"{WORD_START}⇧"
"""The piece that says that the word behind it begins with a capital."""
_FIRST = re.compile(r"\w")
_PADDING = "<pad>"
"""What `tokenizers` calls id 0, as it has no name for nothing."""
_PLAIN = str.maketrans(
    dict.fromkeys("‘’‚‛ʼ′`´＇", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"ſ": "s", "æ": "ae", "Æ": "Ae", "…": "...", "\ufeff": ""}
)


def normalize(text: str) -> str:
    """Composed letters, plain quotes and dashes, and one space between words."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_PLAIN).split())


def train(texts: Iterable[str], vocab: int, capitals: bool = False) -> tuple[str, ...]:
    """At most `vocab` pieces of normalized texts: padding, characters, what they merge to.

    The same texts give the same pieces, in whatever order they come. With `capitals`,
    words that the texts have more often in lower case are taken for that.

    Raises:
      ValueError: the characters alone are more than `vocab`.
    """
    library = _library()
    texts = list(map(normalize, texts))
    alphabet = set().union(*texts) - {" "}
    # What it allocates in advance is `vocab` entries, though merges are no more than the
    # characters of the words, their marks included.
    words = {word for text in texts for word in text.split()}
    most = len(alphabet) + 8 + sum(2 * len(word) + 2 for word in words)
    trainer = library.trainers.BpeTrainer(
        vocab_size=min(vocab, most),
        special_tokens=[_PADDING],
        # A capital is a character, even where it is marked in every text.
        initial_alphabet=[WORD_START, *sorted(alphabet)],
        show_progress=False,
    )
    learned = _untrained()
    learned.train_from_iterator(_mark_capitals(texts) if capitals else texts, trainer)
    if learned.get_vocab_size() > vocab:
        raise ValueError(
            f"a vocabulary of {vocab} pieces is too small: padding and the characters "
            f"of the texts are {learned.get_vocab_size()}"
        )
    return _pieces(learned.get_vocab())


def pieces_space(pieces: Sequence[str], length: int) -> Tokens:
    """The space of texts of at most `length` of these pieces, the first of them `""`."""
    return Tokens(length, len(pieces), padded=True, symbols=tuple(pieces))


def is_pieces(space: object) -> bool:
    """Whether texts are encoded in this space as pieces of words."""
    return (
        isinstance(space, Tokens)
        and space.depth == 1
        and space.padded
        and WORD_START in space.symbols
    )


def encode(space: Tokens, text: str) -> np.ndarray:
    """Ids int32[space.length] of the pieces of a text, 0 behind its end.

    Raises:
      UserError: the text is empty, has an unknown character, or too many pieces.
    """
    ids = pieces_of(space, text)
    if not ids:
        raise UserError("the text is empty: at least one word is needed")
    if len(ids) > space.length:
        raise UserError(
            f"{_quote(text)} has {len(ids)} pieces: at most {space.length} fit"
        )
    encoded = np.zeros(space.length, np.int32)
    encoded[: len(ids)] = ids
    return encoded


def pieces_of(space: Tokens, text: str) -> list[int]:
    """Ids of the pieces of a text of any length, or of one word.

    Words are independent of each other: those of a text are those of its words, joined.

    Raises:
      UserError: the text has a character that no piece has.
    """
    normalized = normalize(text)
    of_word, known = _encoder(space.symbols)
    if unknown := [character for character in normalized if character not in known]:
        place = normalized.index(unknown[0]) + 1
        raise UserError(
            f"{unknown[0]!r}, character {place} of {_quote(normalized)}, is unknown: "
            f"known are {''.join(sorted(known))!r}"
        )
    return [index for word in normalized.split() for index in of_word(word)]


def words(space: Tokens, ids: np.ndarray) -> list[str]:
    """The words, with the punctuation that is attached to them, of ids int[length].

    They end at the first 0. Ids need not be what `encode` gives: a text that begins
    within a word loses nothing.
    """
    row = np.asarray(ids).tolist()
    pieces = [space.symbols[index] for index in row[: (row + [0]).index(0)]]
    found = []
    raised = False
    for word in "".join(pieces).replace(WORD_START, " ").split():
        if word == CAPITAL[1:] and CAPITAL in space.symbols:
            raised = True
        else:
            found.append(_raised(word) if raised else word)
            raised = False
    return found


def decode(space: Tokens, ids: np.ndarray) -> str:
    """The text of ids int[length] up to the first 0: of `encode`, the normalized one."""
    return " ".join(words(space, ids))


def without_capitals(space: Tokens, ids: np.ndarray) -> np.ndarray:
    """Ids int[length] without the pieces that say that a capital follows."""
    if CAPITAL not in space.symbols:
        return ids
    return ids[ids != space.symbols.index(CAPITAL)]


def cached(path: Path, make: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """The pieces in a file, or those of `make`, which are then written there.

    The file is one that `tokenizers.Tokenizer.from_file` opens. Where it cannot be
    written nothing is: the next call makes the pieces anew.

    Raises:
      UserError: the file is damaged, and whatever `make` raises.
    """
    try:
        return _pieces(json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"])
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no tokenizer: delete it, and run again") from error
    pieces = tuple(make())
    content = _tokenizer(pieces).to_str(pretty=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
    return pieces


@functools.lru_cache(maxsize=8)
def _encoder(
    pieces: tuple[str, ...],
) -> tuple[Callable[[str], list[int]], frozenset[str]]:
    """What gives the ids of a word, and the characters that it knows."""
    tokenizer = _tokenizer(pieces)
    characters = {piece for piece in pieces if len(piece) == 1}
    characters -= {WORD_START, CAPITAL[1:]}
    capital = [pieces.index(CAPITAL)] if CAPITAL in pieces else None

    # Few words are most of a language: each is encoded once.
    @functools.lru_cache(maxsize=2**16)
    def of_word(word: str) -> list[int]:
        ids = tokenizer.encode(word).ids
        lowered = capital and _lowered(word)
        if not lowered or not characters.issuperset(lowered):
            return ids
        other = tokenizer.encode(lowered).ids
        # What the texts have more often has fewer pieces, or was learned earlier.
        usual = (len(other), max(other)) < (len(ids), max(ids))
        return capital + other if usual else ids

    return of_word, frozenset(characters | {" "})


def _lowered(word: str) -> str | None:
    """A word with its first letter in lower case, if it is a capital that comes back."""
    first = _FIRST.search(word)
    if not first or not first[0].isupper():
        return None
    place = first.start()
    lowered = word[:place] + word[place].lower() + word[place + 1 :]
    return lowered if _raised(lowered) == word else None


def _raised(word: str) -> str:
    """A word with its first letter as a capital."""
    return _FIRST.sub(lambda letter: letter[0].upper(), word, count=1)


def _mark_capitals(texts: Sequence[str]) -> list[str]:
    """Texts with `⇧` before words that they have in lower case at least as often."""
    seen = Counter(word for text in texts for word in text.split())

    def marked(word: str) -> str:
        lowered = _lowered(word)
        if lowered is None or seen[lowered] < seen[word]:
            return word
        return f"{CAPITAL[1:]} {lowered}"

    return [" ".join(map(marked, text.split())) for text in texts]


def _tokenizer(pieces: Sequence[str]) -> "tokenizers.Tokenizer":
    """The tokenizer of these pieces, without the list of merges that it was trained to.

    Any two neighbours merge that make a piece, those that make the earliest one first.
    """
    vocab = {piece or _PADDING: index for index, piece in enumerate(pieces)}
    merges = []
    for piece in pieces:
        halves = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        known = [(a, b) for a, b in halves if a in vocab and b in vocab]
        merges += sorted(known, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    return _untrained(_library().models.BPE(vocab=vocab, merges=merges))


def _untrained(
    model: "tokenizers.models.Model | None" = None,
) -> "tokenizers.Tokenizer":
    library = _library()
    tokenizer = library.Tokenizer(model or library.models.BPE())
    # Punctuation stands alone, but for the word start in front of it.
    marks = library.Regex(rf"{WORD_START}?[^\w'{WORD_START}]")
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.Metaspace(WORD_START),
            library.pre_tokenizers.Split(marks, "isolated"),
        ]
    )
    tokenizer.decoder = library.decoders.Metaspace(WORD_START)
    return tokenizer


def _pieces(vocab: dict[str, int]) -> tuple[str, ...]:
    ordered = sorted(vocab, key=vocab.__getitem__)
    if ordered[0] != _PADDING or WORD_START not in vocab:
        raise ValueError("the vocabulary is not one of `train`")
    return ("", *ordered[1:])


def _library() -> types.ModuleType:
    try:
        import tokenizers
    except ImportError as error:
        raise UserError(
            "texts are cut into pieces by the package tokenizers, which is not "
            "installed: run `pip install 'regen-jax[text]'`"
        ) from error
    return tokenizers


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
