"""Prepared data sets as their records are stored."""

from typing import Any

from regen_jax.data.readers import raw_records

SPLITS = ("train", "validation", "test")


def stored_splits(name: str, data_dir: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the records of each of `SPLITS` of a prepared set."""
    return {split: list(raw_records.load(name, split, data_dir)) for split in SPLITS}
