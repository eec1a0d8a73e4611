"""Reads prepared sets of words with their pronunciations, such as `pronunciations`."""

from collections.abc import Iterator

from regen_jax.data.readers import raw_records

_FEATURES = ("word", "pronunciations")


def open_pronunciations(
    name: str, split: str, data_dir: str = ""
) -> Iterator[tuple[str, list[list[str]]]]:
    """Yields the words of a split with all their pronunciations, in file order.

    Args:
      name: of the prepared set.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Yields:
      A word, and a list of phonemes for each of its pronunciations.

    Raises:
      UserError: the set is not prepared there, is damaged, or lacks a feature.
    """
    for record in raw_records.load(name, split, data_dir, _FEATURES):
        listed = [phones.decode().split() for phones in record["pronunciations"]]
        yield record["word"].decode(), listed
