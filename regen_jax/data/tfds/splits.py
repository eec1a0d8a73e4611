"""Maps the splits `train`, `validation` and `test` to stored examples of a TFDS set.

Sets of this package store the three. For any other set:

- `test` is the split that the literature reports on: the stored `test`; the stored
  `validation` if there is no `test`, or if its labels are secret, as those of
  `imagenet2012` are; `test_clean` of `librispeech` and `libritts`.
- `validation` is the stored one if that is not the test split already; `dev_clean` of
  those two, and `val` of `coco_captions`, whose `train` is that of Karpathy and Fei-Fei
  (arXiv 1412.2306) with `restval`.
- A split that is missing is held out from `train`, and no longer part of it: 2% of the
  examples, at most 10,000, see `regen_jax.data.tfds.split_keys`; `test` comes first. A
  set with `train` alone, such as `ljspeech`, thus has all three.
"""

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.tfds import embedded, split_keys
from regen_jax.errors import UserError
from regen_jax.ranges import Checked

NAMES = ("train", "validation", "test")

_READ_SPEECH = {
    "train": ("train_clean100", "train_clean360", "train_other500"),
    "validation": ("dev_clean",),
    "test": ("test_clean",),
}
_SECRET_TEST_LABELS = {"test": ("validation",)}
_STORED_NAMES = {
    "librispeech": _READ_SPEECH,
    "libritts": _READ_SPEECH,
    "coco_captions": {"train": ("train", "restval"), "validation": ("val",)},
    "imagenet2012": _SECRET_TEST_LABELS,
    "places365_small": _SECRET_TEST_LABELS,
}
"""The stored splits that make up each split, for sets with other names or roles."""
_SLICED = re.compile(r"(?P<name>\w+)(?P<slice>\[.*\])?")


@dataclasses.dataclass(frozen=True)
class SplitOptions:
    """`config.data.splits`: the split of the data set that each split of a task reads.

    Each is the name of a split, a slice such as `train[:10%]`, or a sum of stored
    splits such as `train+extra`; empty is the split of the same name, and for `targets`
    what the task takes by default. Results compare with others only if all are empty,
    and only if `validation` and `test` share no example with `train`.

    Attributes:
      train: pairs to train on.
      validation: pairs that reports in training, searches and choices read.
      test: pairs that `evaluate` reads.
      targets: examples of which Y alone is read, to train an abstraction or a decoder.
    """

    train: str = ""
    validation: str = ""
    test: str = ""
    targets: str = ""

    def stored(self, split: str, default: str = "") -> str:
        """Returns the split of the data set that a split of the task reads.

        Args:
          split: of the task.
          default: where these options name none; if empty, the split of the same name.
        """
        return getattr(self, split, "") or default or split


DEFAULT_SPLITS = SplitOptions()


@dataclasses.dataclass(frozen=True)
class SetOptions(Checked):
    """Which data set a task reads, in `config.data`.

    Attributes:
      name: of a prepared set.
      dir: where it is prepared; TFDS's default folder if empty.
      splits: the splits of the set that are read.
    """

    name: str = ""
    dir: str = ""
    splits: SplitOptions = DEFAULT_SPLITS


class Selection(NamedTuple):
    """Stored examples of a data set.

    Attributes:
      stored: a split in TFDS's terms, such as `train+extra`.
      rows: i64[R], which of its examples, in this order; None is all of them.
    """

    stored: str
    rows: np.ndarray | None = None


def names(builder: tfds.core.DatasetBuilder) -> list[str]:
    """Lists the splits of a prepared set: `NAMES` first, then other stored ones."""
    layout = _layout(builder)
    used = {part for parts in layout.values() for part in parts}
    return [*layout, *(name for name in builder.info.splits if name not in used)]


def exists(builder: tfds.core.DatasetBuilder, split: str) -> bool:
    """Returns whether `select` accepts a split.

    A split is a name, a slice such as `train[:10%]`, or a sum of stored ones such as
    `train+extra`. A split of `NAMES` cannot be part of a sum where any of the three is
    held out, as it is then not stored.
    """
    layout = _layout(builder)
    match = _SLICED.fullmatch(split)
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

    Raises:
      UserError: the set is too small to hold out a split, or has not that slice, or the
        slice is empty.
      OSError, RuntimeError: the set is damaged.
    """
    selection = _select(builder, split)
    if "[" in split and not min(_sizes(builder, selection)):
        raise UserError(
            f"{split!r} selects no example of data set {builder.info.full_name!r}: give "
            "a range that ends after its beginning, by one example or more"
        )
    return selection


def _select(builder: tfds.core.DatasetBuilder, split: str) -> Selection:
    layout = _layout(builder)
    match = _SLICED.fullmatch(split)
    if not match or match["name"] not in layout:
        return Selection(split)
    name, part = match["name"], match["slice"]
    missing = [other for other in ("test", "validation") if not layout[other]]
    stored = "+".join(layout[name] or layout["train"])
    if missing and name in ("train", *missing):
        keys = split_keys.content_keys(Path(builder.data_dir), stored)
        rows = split_keys.hold_out(keys, missing, builder.info.full_name)[name]
    elif part:
        rows = np.arange(builder.info.splits[stored].num_examples)
    else:
        return Selection(stored)
    try:
        return Selection(stored, _slice(rows, part) if part else rows)
    except ValueError as error:
        raise UserError(
            f"data set {builder.info.full_name!r} has {len(rows)} examples in "
            f"{name!r}: {split!r} is no part of them"
        ) from error


def _sizes(builder: tfds.core.DatasetBuilder, selection: Selection) -> list[int]:
    """Returns the number of examples of each part of a sum of splits."""
    if selection.rows is not None:
        return [len(selection.rows)]
    known = builder.info.splits
    parts = tfds.core.ReadInstruction.from_spec(selection.stored).to_absolute(known)
    return [
        len(range(known[part.splitname].num_examples)[part.from_ : part.to])
        for part in parts
    ]


def _layout(builder: tfds.core.DatasetBuilder) -> dict[str, tuple[str, ...]]:
    """Returns which stored splits each of `NAMES` reads; none for one that is held out.

    Empty for sets whose splits are read under their stored names: those of this package,
    and those without `train`.
    """
    stored = builder.info.splits
    if builder.name in embedded.names():
        return {}
    renamed = _STORED_NAMES.get(builder.name, {})
    layout = {
        name: tuple(part for part in renamed.get(name, (name,)) if part in stored)
        for name in NAMES
    }
    if not layout["test"]:
        layout["test"] = layout["validation"]
    if layout["validation"] == layout["test"]:
        layout["validation"] = ()
    return layout if layout["train"] else {}


def _slice(rows: np.ndarray, part: str) -> np.ndarray:
    """Returns the rows that a slice such as `[:10%]` selects."""
    whole = {"train": tfds.core.SplitInfo("train", [len(rows)], 0)}
    (chosen,) = tfds.core.ReadInstruction.from_spec(f"train{part}").to_absolute(whole)
    return rows[chosen.from_ : chosen.to]
