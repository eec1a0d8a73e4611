"""Pairs the verses of two Bibles and divides them by books."""

import re

from regen_jax.data.builders.simple_bible.bibles import Reference

TEST_BOOKS = ("Judges", "1 Samuel", "Philippians", "Hebrews")
VALIDATION_BOOKS = ("1 Kings", "Zephaniah", "Mark", "Colossians")
"""Held-out books: those of Carlson et al. 2018 (https://arxiv.org/abs/1711.04731)."""

_PSALMS = 19
# Their two texts rest on different manuscripts: the numbers match, but not the words.
_OTHER_MANUSCRIPTS = {(50, 1, 16), (50, 1, 17), (62, 5, 7)}


def split_of_book(title: str) -> str:
    """Returns the split of a book's pairs: `train`, `validation` or `test`."""
    if title in TEST_BOOKS:
        return "test"
    return "validation" if title in VALIDATION_BOOKS else "train"


def split_verses(
    king_james: dict[Reference, str],
    basic: dict[Reference, str],
    titles: list[str],
) -> dict[str, list[dict]]:
    """Returns the examples of each split, in the order of the Bible.

    Verses that Basic English marks as lost are in no split, and neither is a verse of a
    held-out book without a King James counterpart, or one of `train` or `unpaired`
    whose words are those of a held-out verse.

    Args:
      king_james: texts by reference.
      basic: likewise.
      titles: of the books, in their order.

    Returns:
      Examples of `train`, `validation`, `test` and `unpaired`, whose source is empty.
    """
    splits: dict[str, list[dict]] = {
        "train": [],
        "validation": [],
        "test": [],
        "unpaired": [],
    }
    # With an extra verse, as in John 1, it is unknown from where on the numbers differ.
    longer = {key[:2] for key in basic.keys() - king_james.keys()}
    for key, target in basic.items():
        # Three dots or asterisks stand for words that nobody can read any more.
        if "..." in target or "*" in target or not re.search("[a-z]", target):
            continue
        book, chapter, verse = key
        title = titles[book - 1]
        paired = (
            book != _PSALMS and key not in _OTHER_MANUSCRIPTS and key[:2] not in longer
        )
        split = split_of_book(title)
        if not paired:
            if split != "train":
                continue
            split = "unpaired"
        splits[split].append(
            {
                "book": title,
                "chapter": chapter,
                "verse": verse,
                "source": king_james[key] if paired else "",
                "target": target,
            }
        )
    held_out = {
        _words(verse[side])
        for split in ("validation", "test")
        for verse in splits[split]
        for side in ("source", "target")
    }
    for split in ("train", "unpaired"):
        splits[split] = [
            verse
            for verse in splits[split]
            if held_out.isdisjoint((_words(verse["source"]), _words(verse["target"])))
        ]
    return splits


def _words(text: str) -> str:
    return " ".join(re.findall("[a-z']+", text.lower()))
