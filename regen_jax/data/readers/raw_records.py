"""Examples of a prepared TFDS set as they are stored, read without TensorFlow."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.tfds import prepared, splits
from regen_jax.errors import UserError

_CHUNK = 256


def load(
    name: str, split: str, data_dir: str = "", needed: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Every example of a split, in the order of the files; texts are `bytes`.

    Args:
      name: name of the set in TFDS: `spoken_digits`, `ljspeech:1.1.1`.
      split: `train`, `validation`, `test`, see `splits`, a part of one such as
        `train[:10%]`, or another that is stored.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      needed: features that the set must have.

    Raises:
      UserError: the set is not prepared in that folder, is damaged, or has no such
        split or features.
    """
    builder = prepared.require(name, split, data_dir)
    if not set(needed) <= set(builder.info.features):
        raise UserError(
            f"data set {name!r} has the features "
            f"{', '.join(sorted(builder.info.features))}: needed are "
            f"{', '.join(sorted(needed))}"
        )
    return read(builder, name, split, data_dir)


def read(
    builder: tfds.core.DatasetBuilder, name: str, split: str, data_dir: str
) -> Iterator[dict[str, Any]]:
    """As `load`, from the builder of a set."""
    try:
        source = open_source(builder, split)
        for start in range(0, len(source), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(source)))
            yield from source.__getitems__(rows)
    except (OSError, RuntimeError) as error:
        raise prepared.damaged(name, builder.data_dir, data_dir) from error


def open_source(
    builder: tfds.core.DatasetBuilder,
    split: str,
    decoders: dict[str, Any] | None = None,
) -> Sequence[dict[str, Any]]:
    """Random access to the examples of a split, which `splits` maps to stored ones.

    Raises:
      UserError: the set is too small to cut the split from it.
      OSError, RuntimeError: the set is damaged.
    """
    stored, rows = splits.select(builder, split)
    source = builder.as_data_source(
        stored, decoders=decoders, file_format=tfds.core.FileFormat.ARRAY_RECORD
    )
    return source if rows is None else _Rows(source, rows)


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """Some examples of a TFDS data source."""

    source: Sequence[dict[str, Any]]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.source[int(self.rows[index])]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        return self.source.__getitems__(self.rows[list(indices)].tolist())
