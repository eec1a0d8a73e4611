"""Holds out examples of a TFDS set by a hash of their content.

The key of an example is a hash of its features as they are stored, or of the pixels of
PNG images. What is held out is therefore the same on every machine, whatever the order
of the files, the seed and the options, and equal examples stay together.
"""

import functools
import hashlib
import io
import logging
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2
from tqdm import tqdm

from regen_jax.data.array_cache import load_or_compute
from regen_jax.errors import UserError

HELD_OUT_FRACTION = 0.02
MAX_HELD_OUT = 10_000

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = 1024

logger = logging.getLogger("regen_jax")


def hold_out(
    keys: np.ndarray, missing: list[str], name: str = ""
) -> dict[str, np.ndarray]:
    """Divides the stored `train` into a smaller `train` and the missing splits.

    A missing split has `HELD_OUT_FRACTION` of the examples, at most `MAX_HELD_OUT`.

    Args:
      keys: u64[N], one per example of the stored `train`.
      missing: names of the missing splits; the first gets the lowest keys.
      name: of the data set, for the error message.

    Returns:
      Rows i64[R] of each split in ascending order, by name of the split.

    Raises:
      UserError: a split would be empty.
    """
    size = min(MAX_HELD_OUT, max(1, round(HELD_OUT_FRACTION * len(keys))))
    bounds = np.sort(keys)[: len(missing) * size + 1 : size]
    # Strictly below a bound, so that equal keys are never in two splits.
    split_of_row = np.searchsorted(bounds[1:], keys, side="right")
    rows = {
        split: np.flatnonzero(split_of_row == number)
        for number, split in enumerate([*missing, "train"])
    }
    if len(bounds) <= len(missing) or not all(map(len, rows.values())):
        raise UserError(
            f"data set {name!r} has {len(keys)} examples in 'train': too few to hold "
            f"out {' and '.join(missing)}"
        )
    return rows


@functools.lru_cache(maxsize=4)
def content_keys(folder: Path, stored: str) -> np.ndarray:
    """Returns the key u64[N] of every example of stored splits, in file order.

    Keys are computed once and kept beside the prepared data, or in memory only if that
    cannot be written.

    Args:
      folder: of a prepared version of a data set.
      stored: names of its stored splits, joined by `+`.
    """
    builder = tfds.builder_from_directory(folder)
    size = sum(builder.info.splits[part].num_examples for part in stored.split("+"))
    return load_or_compute(
        folder / "annotations" / f"split_keys-{stored}.npy",
        lambda keys: keys.shape == (size,) and keys.dtype == np.uint64,
        lambda: _compute_keys(builder, stored),
    )


def _compute_keys(builder: tfds.core.DatasetBuilder, stored: str) -> np.ndarray:
    records = builder.as_data_source(
        stored,
        deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
        file_format=tfds.core.FileFormat.ARRAY_RECORD,
    )
    if len(records) > _CHUNK:
        name = builder.info.full_name
        logger.info(
            "%s: computing keys of %s examples, once", name, f"{len(records):,}"
        )
    keys = np.empty(len(records), np.uint64)
    starts = range(0, len(records), _CHUNK)
    for start in tqdm(starts, "keys", disable=None, leave=False):
        rows = range(start, min(start + _CHUNK, len(records)))
        keys[rows] = [content_key(record) for record in records.__getitems__(rows)]
    return keys


def content_key(record: bytes) -> int:
    """Returns a hash of 64 bits of the features of a serialized `tf.train.Example`."""
    example = tf_example_pb2.Example.FromString(record)
    digest = hashlib.sha256()
    for name, feature in sorted(example.features.feature.items()):
        digest.update(f"{name}:{feature.WhichOneof('kind')}:".encode())
        values = feature.bytes_list.value
        if values and values[0].startswith(_PNG):
            # A PNG file depends on the program that wrote it, its pixels do not.
            for value in values:
                with Image.open(io.BytesIO(value)) as image:
                    digest.update(f"{image.mode}{image.size}".encode())
                    digest.update(image.tobytes())
        else:
            digest.update(feature.SerializeToString(deterministic=True))
    return int.from_bytes(digest.digest()[:8], "little")
