"""Examples of a prepared TFDS set as they are stored, read without TensorFlow."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds

from regen_jax.data import prepared
from regen_jax.errors import UserError

_CHUNK = 256


def load(
    name: str, split: str, data_dir: str = "", needed: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Every example of a split, in the order of the files; texts are `bytes`.

    Args:
      name: name of the set in TFDS: `spoken_digits`, `ljspeech:1.1.1`.
      split: `train`, `test`, `train[:10%]` or any other split that TFDS understands.
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
        raise UserError(
            f"data set {name!r} is damaged: delete {builder.data_dir} and run "
            f"`{prepared.prepare_command(name, data_dir)}`"
        ) from error


def open_source(
    builder: tfds.core.DatasetBuilder, split: str
) -> Sequence[dict[str, Any]]:
    """Random access to the examples of a split."""
    return builder.as_data_source(split, file_format=tfds.core.FileFormat.ARRAY_RECORD)
