"""Maps the splits `train`, `validation` and `test` to stored examples of a TFDS set.

Sets of this package store the three. For any other set:

- `test` is the one that the field reports on: the stored `test`; the stored `validation`
  where there is no `test`, or its labels are secret, as those of `imagenet2012` are;
  `test_clean` of `librispeech` and `libritts`.
- `validation` is the stored one where that is not the test; `dev_clean` of those two.
- A split that is missing is cut from `train`, and no longer part of it: 2 % of the
  examples, at most 10,000, those with the lowest keys; `test` is cut first. A set with
  `train` alone, such as `ljspeech`, thus has all three.

The key of an example is a hash of its content: of its features as they are stored, or of
the pixels of PNG images. The cut is therefore the same on every machine, whatever the
order of the files, the seed and the options, and equal examples stay together.
"""

import contextlib
import functools
import hashlib
import io
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2
from tqdm import tqdm

from regen_jax.data.tfds import embedded
from regen_jax.errors import UserError

NAMES = ("train", "validation", "test")
FRACTION = 0.02
MOST = 10_000

_READ_SPEECH = {
    "train": ("train_clean100", "train_clean360", "train_other500"),
    "validation": ("dev_clean",),
    "test": ("test_clean",),
}
_LABELLED = {"test": ("validation",)}
_STORED_AS = {
    "librispeech": _READ_SPEECH,
    "libritts": _READ_SPEECH,
    "imagenet2012": _LABELLED,
    "places365_small": _LABELLED,
}
"""Stored splits that make up each split, of the sets that name them differently."""
_SLICE = re.compile(r"(?P<name>\w+)(?P<slice>\[.*\])?")
_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = 1024

logger = logging.getLogger("regen_jax")


class Selection(NamedTuple):
    """Stored examples: those of a split in TFDS's terms, or some of its rows."""

    stored: str
    rows: np.ndarray | None = None


def names(builder: tfds.core.DatasetBuilder) -> list[str]:
    """The splits of a prepared set: the three first, then others as they are stored."""
    layout = _layout(builder)
    used = {part for parts in layout.values() for part in parts}
    return [*layout, *(name for name in builder.info.splits if name not in used)]


def exists(builder: tfds.core.DatasetBuilder, split: str) -> bool:
    """Whether `select` takes this split: a name, a part of one, or names added up.

    The three cannot be added to other splits where one is cut: they are not stored.
    """
    layout = _layout(builder)
    match = _SLICE.fullmatch(split)
    if match and match["name"] in layout:
        split = f"train{match['slice'] or ''}"
        known = {"train": tfds.core.SplitInfo("train", [2**40], 0)}
    elif any(part.split("[")[0].strip() in layout for part in split.split("+")):
        return False
    else:
        known = builder.info.splits
    try:
        tfds.core.ReadInstruction.from_spec(split).to_absolute(known)
    except (KeyError, ValueError, NotImplementedError):
        return False
    return True


def select(builder: tfds.core.DatasetBuilder, split: str) -> Selection:
    """Finds the stored examples of a split that `exists`.

    Keys are computed once and kept beside the prepared data, or in memory alone where
    that cannot be written.

    Raises:
      UserError: the set is too small to cut a split from it, or to have that part.
      OSError, RuntimeError: the set is damaged.
    """
    layout = _layout(builder)
    match = _SLICE.fullmatch(split)
    if not match or match["name"] not in layout:
        return Selection(split)
    name, part = match["name"], match["slice"]
    missing = [other for other in ("test", "validation") if not layout[other]]
    stored = "+".join(layout[name] or layout["train"])
    if missing and name in ("train", *missing):
        rows = cut(_keys(builder, stored), missing, builder.info.full_name)[name]
    elif part:
        rows = np.arange(builder.info.splits[stored].num_examples)
    else:
        return Selection(stored)
    try:
        return Selection(stored, _slice(rows, part) if part else rows)
    except ValueError as error:
        raise UserError(
            f"data set {builder.info.full_name!r} has {len(rows)} examples in {name!r}: "
            f"{split!r} is no part of them"
        ) from error


def cut(keys: np.ndarray, missing: list[str], name: str = "") -> dict[str, np.ndarray]:
    """Rows of `train`, and of the missing splits that are cut from it, in order.

    Args:
      keys: u64[N], one per example.
      missing: names of the splits; the first gets the lowest keys.
      name: of the data set, for the message.

    Raises:
      UserError: nothing would be left of a split.
    """
    size = min(MOST, max(1, round(FRACTION * len(keys))))
    bounds = np.sort(keys)[: len(missing) * size + 1 : size]
    # Below the bound, so that equal keys are never in two splits.
    place = np.searchsorted(bounds[1:], keys, side="right")
    rows = {
        split: np.flatnonzero(place == number)
        for number, split in enumerate([*missing, "train"])
    }
    if len(bounds) <= len(missing) or not all(map(len, rows.values())):
        raise UserError(
            f"data set {name!r} has {len(keys)} examples in 'train': too few to cut "
            f"{' and '.join(missing)} from"
        )
    return rows


def _layout(builder: tfds.core.DatasetBuilder) -> dict[str, tuple[str, ...]]:
    """Stored splits that make up each of the three; none for one that is cut.

    Empty where the set is read as it is stored: one of this package, or without `train`.
    """
    stored = builder.info.splits
    if builder.name in embedded.names():
        return {}
    named = _STORED_AS.get(builder.name, {})
    layout = {
        name: tuple(part for part in named.get(name, (name,)) if part in stored)
        for name in NAMES
    }
    if not layout["test"]:
        layout["test"] = layout["validation"]
    if layout["validation"] == layout["test"]:
        layout["validation"] = ()
    return layout if layout["train"] else {}


def _slice(rows: np.ndarray, part: str) -> np.ndarray:
    """Returns the part of the rows that a slice such as `[:10%]` selects."""
    whole = {"train": tfds.core.SplitInfo("train", [len(rows)], 0)}
    (chosen,) = tfds.core.ReadInstruction.from_spec(f"train{part}").to_absolute(whole)
    return rows[chosen.from_ : chosen.to]


def _keys(builder: tfds.core.DatasetBuilder, stored: str) -> np.ndarray:
    """The key u64[N] of every example of stored splits, in the order of the files."""
    number = sum(builder.info.splits[part].num_examples for part in stored.split("+"))
    path = Path(builder.data_dir, "annotations", f"split_keys-{stored}.npy")
    # A file that is missing or damaged is made again.
    with contextlib.suppress(OSError, ValueError, EOFError):
        keys = np.load(path)
        if keys.shape == (number,) and keys.dtype == np.uint64:
            return keys
    return _computed(Path(builder.data_dir), stored, path)


@functools.lru_cache(maxsize=4)
def _computed(folder: Path, stored: str, path: Path) -> np.ndarray:
    """Computes the keys of the set in a folder, and writes them to the path."""
    builder = tfds.builder_from_directory(folder)
    source = builder.as_data_source(
        stored,
        deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
        file_format=tfds.core.FileFormat.ARRAY_RECORD,
    )
    if len(source) > _CHUNK:
        name = builder.info.full_name
        logger.info("%s: computing keys of %s examples, once", name, f"{len(source):,}")
    keys = np.empty(len(source), np.uint64)
    starts = range(0, len(source), _CHUNK)
    for start in tqdm(starts, "keys", disable=None, leave=False):
        rows = range(start, min(start + _CHUNK, len(source)))
        keys[rows] = [_key(record) for record in source.__getitems__(rows)]
    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            np.save(file, keys)
        os.replace(file.name, path)
    except OSError as error:
        logger.warning("%s is kept in memory alone: %s", path.name, error)
    return keys


def _key(record: bytes) -> int:
    """A hash of 64 bits of the features of an example as they are stored."""
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
