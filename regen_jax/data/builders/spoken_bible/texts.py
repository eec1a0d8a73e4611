"""Draws short texts from the phrases of a Bible."""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from regen_jax.data.builders.simple_bible.bibles import book_titles, read_verses
from regen_jax.data.builders.simple_bible.splits import split_of_book
from regen_jax.modalities.text.characters import normalize

MAX_WORDS = 5


def read_phrases(path: Path) -> dict[str, list[list[str]]]:
    """Reads the phrases of a Bible, in normalized words.

    A phrase is the part of a verse between two punctuation marks.

    Args:
      path: of a Bible, see `simple_bible.bibles.bible_file`.

    Returns:
      Phrases of the books of `train`, `validation` and `test`.
    """
    titles = book_titles(path)
    phrases: dict[str, list[list[str]]] = {"train": [], "validation": [], "test": []}
    for (book, _, _), verse in read_verses(path).items():
        parts = map(normalize, re.split(r"[^A-Za-z' -]+", verse))
        split = split_of_book(titles[book - 1])
        phrases[split] += [words for part in parts if (words := part.split())]
    return phrases


def draw_texts(
    phrases: list[list[str]],
    seed: int,
    min_words: int = 1,
    excluded: Iterable[str] = (),
    max_words: int = MAX_WORDS,
) -> Iterator[str]:
    """Yields endless texts of some consecutive words of a phrase, none twice.

    Short texts become rarer, as frequent words are soon used up. NumPy promises never
    to change the stream of `RandomState`.

    Args:
      phrases: the words of each phrase.
      seed: of the random choices.
      min_words: the fewest words of a text.
      excluded: texts that no yielded text contains or is contained in, word for word.
      max_words: the most words of a text.
    """
    random = np.random.RandomState(seed)
    by_size = {
        size: [phrase for phrase in phrases if len(phrase) >= size]
        for size in range(min_words, max_words + 1)
    }
    excluded = set(excluded)
    excluded_runs = {run for text in excluded for run in _runs(text)}
    drawn = set()
    while True:
        size = random.randint(min_words, max_words + 1)
        choices = by_size[size]
        phrase = choices[random.randint(len(choices))]
        start = random.randint(len(phrase) - size + 1)
        text = " ".join(phrase[start : start + size])
        if (
            text not in drawn
            and text not in excluded_runs
            and excluded.isdisjoint(_runs(text))
        ):
            drawn.add(text)
            yield text


def _runs(text: str) -> Iterator[str]:
    """Yields all runs of consecutive words of a text, the whole text included."""
    words = text.split()
    for start, end in itertools.combinations(range(len(words) + 1), 2):
        yield " ".join(words[start:end])
