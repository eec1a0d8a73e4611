"""Reads the examples of a prepared TFDS set as they are stored, without TensorFlow."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.tfds import prepared, splits
from regen_jax.errors import UserError

_CHUNK = 256


def load(
    name: str, split: str, data_dir: str = "", features: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Returns an iterator over the examples of a split, in file order.

    Args:
      name: of the set in TFDS, such as `spoken_digits` or `ljspeech:1.1.1`; see
        `prepared.parse`.
      split: `train`, `validation`, `test`, a slice of one such as `train[:10%]`, or
        another stored split; see `regen_jax.data.tfds.splits`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      features: that the set must have.

    Returns:
      Dicts of NumPy values by feature; texts are `bytes`.

    Raises:
      UserError: the set is not prepared in that folder, is damaged, or lacks the split
        or a feature.
    """
    builder = prepared.require(name, split, data_dir)
    if not set(features) <= set(builder.info.features):
        raise UserError(
            f"data set {name!r} has the features "
            f"{', '.join(sorted(builder.info.features))}: needed are "
            f"{', '.join(sorted(features))}"
        )
    return read(builder, name, split, data_dir)


def read(
    builder: tfds.core.DatasetBuilder, name: str, split: str, data_dir: str
) -> Iterator[dict[str, Any]]:
    """Yields the examples of a split in file order, as `load`, given the builder."""
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
    """Returns random access to the examples of a split.

    Args:
      builder: of the prepared set.
      split: one that `splits.exists`.
      decoders: of TFDS, by feature.

    Returns:
      A sequence that also reads many examples at once by `__getitems__`.

    Raises:
      UserError: the set is too small to hold out the split.
      OSError, RuntimeError: the set is damaged.
    """
    stored, rows = splits.select(builder, split)
    source = builder.as_data_source(
        stored, decoders=decoders, file_format=tfds.core.FileFormat.ARRAY_RECORD
    )
    return source if rows is None else _Rows(source, rows)


@dataclasses.dataclass(frozen=True)
class ParsedRecords:
    """Examples that are made of their records on every access.

    Attributes:
      source: the records of a split.
      rows: which of them are examples.
      parse: makes an example of a record.
    """

    source: Sequence[dict[str, Any]]
    rows: Sequence[int]
    parse: Callable[[dict[str, Any]], Any]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.parse(self.source[int(self.rows[index])])


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """The examples of a TFDS data source at rows i64[R]."""

    source: Sequence[dict[str, Any]]
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.source[int(self.rows[index])]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        return self.source.__getitems__(self.rows[list(indices)].tolist())
