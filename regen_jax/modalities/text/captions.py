"""Captions of pictures: their normal form, and the words that a prompt may have."""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence

from regen_jax.errors import UserError, quote
from regen_jax.modalities.text import tokenizer
from regen_jax.modalities.text.words import WORD

_ARTICLES = frozenset({"a", "an", "the"})
_NUM_EXAMPLES = 3


def normalize(text: str) -> str:
    """Normalizes a caption to lower case without articles.

    So that `A red heart` is the caption `red heart`. Typography is that of
    `tokenizer.normalize`.
    """
    words = tokenizer.normalize(text).lower().split()
    return " ".join(word for word in words if word not in _ARTICLES)


def words(captions: Iterable[str]) -> tuple[str, ...]:
    """Returns the words of normalized captions, the most frequent first."""
    counts = Counter(word for caption in captions for word in WORD.findall(caption))
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def check_words(caption: str, known: Sequence[str]) -> None:
    """Checks that a model knows the words of a prompt.

    Args:
      caption: a normalized caption.
      known: words of the captions that the model learned from.

    Raises:
      UserError: a word is not among them; near ones are named, or else the first.
    """
    unknown = [word for word in WORD.findall(caption) if word not in known]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], known, _NUM_EXAMPLES)
    listed = ", ".join(map(repr, near or known[:_NUM_EXAMPLES]))
    raise UserError(
        f"{quote(unknown[0])} in {quote(caption)} is in no caption that was learned "
        f"from: write words of their {len(known):,}, such as {listed}"
    )
