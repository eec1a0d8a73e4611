"""Reads prepared sets of verses in two versions, such as `simple_bible`."""

from collections.abc import Iterator
from typing import NamedTuple

from regen_jax.data.readers import raw_records

CORE_WORDS = 22
"""Most words of the source, and of the target, of a verse on the core list."""

_FEATURES = ("book", "chapter", "verse", "source", "target")


class Verse(NamedTuple):
    """A verse in two versions.

    Attributes:
      source: empty for a verse that has a simple version only.
      target: the simple version.
      reference: such as `Judges 1:16`.
    """

    source: str
    target: str
    reference: str


def in_core_list(verse: Verse) -> bool:
    """Returns whether a verse is on the core list: short enough for a small model.

    Words are separated by spaces, so that the list depends on no tokenizer.
    """
    return all(len(text.split()) <= CORE_WORDS for text in (verse.source, verse.target))


def open_verses(name: str, split: str, data_dir: str = "") -> Iterator[Verse]:
    """Yields the verses of a split, in file order.

    Args:
      name: of the prepared set.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Raises:
      UserError: the set is not prepared there, is damaged, or lacks a feature.
    """
    for record in raw_records.load(name, split, data_dir, _FEATURES):
        reference = f"{record['book'].decode()} {record['chapter']}:{record['verse']}"
        yield Verse(record["source"].decode(), record["target"].decode(), reference)
