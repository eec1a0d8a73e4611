"""Reads sounds with labels of any prepared TFDS set, such as `speech_commands`."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.readers import raw_records
from regen_jax.data.readers.sound_records import SoundParser
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError

logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class LabeledSounds:
    """Random access to sounds and their labels; do not write to the arrays.

    Attributes:
      waves: i16[N] each.
      labels: i32[number, A], one column per entry of `names`.
      names: of the classes of `label`, and then of each other feature that has classes.
      too_long: labels i32[M, A] of the sounds left out for their length.
      credit: what is to be said of the sounds wherever they are shown; may be empty.
    """

    waves: Sequence[np.ndarray] = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    names: Mapping[str, tuple[str, ...]]
    too_long: np.ndarray = dataclasses.field(repr=False)
    credit: str = ""

    def __len__(self) -> int:
        return len(self.waves)


def open_labeled_sounds(
    name: str,
    split: str,
    data_dir: str = "",
    sample_rate: int = 16_000,
    max_seconds: float = 1.024,
    max_bytes: int = 2**31,
) -> LabeledSounds:
    """Opens a split of a prepared TFDS set with the features `audio` and `label`.

    Args:
      name: of the set in TFDS, such as `spoken_sounds` or `speech_commands`.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      sample_rate: to which sounds are resampled, in Hz.
      max_seconds: the longest sound; longer ones are left out, which is logged.
      max_bytes: a split of sounds that are no larger than this is held in memory; of a
        larger one, each sound is read from its file at every access.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split, `audio`,
        `label` or a sample rate, is damaged, or has no sound that is short enough.
    """
    builder = prepared.require(name, split, data_dir)
    parser = SoundParser.of(name, builder, sample_rate)
    names = _class_names(name, dict(builder.info.features.items()))
    waves, rows, labels, too_long = [], [], [], []
    size = 0
    for row, record in enumerate(raw_records.read(builder, name, split, data_dir)):
        classes = [int(record[feature]) for feature in names]
        # TFDS writes -1 where a label is secret.
        if min(classes) < 0:
            raise UserError(f"data set {name!r} ({split}) has sounds without a label")
        if parser.seconds(record) > max_seconds:
            too_long.append(classes)
            continue
        rows.append(row)
        labels.append(classes)
        if size <= max_bytes:
            waves.append(parser.wave(record))
            size += waves[-1].nbytes
    if not rows:
        raise UserError(f"no sound of {name!r} ({split}) is within {max_seconds:g} s")
    if too_long:
        logger.info(
            "%s (%s): left out are %d sounds longer than %g s",
            *(name, split, len(too_long), max_seconds),
        )
    if size > max_bytes:
        source = raw_records.open_source(builder, split)
        waves = raw_records.ParsedRecords(source, rows, parser.wave)
    return LabeledSounds(
        waves,
        np.array(labels, np.int32),
        names,
        np.array(too_long, np.int32).reshape(-1, len(names)),
        (builder.info.metadata or {}).get("credit", ""),
    )


def _class_names(name: str, features: dict[str, object]) -> dict[str, tuple[str, ...]]:
    """Returns the names of the classes of each feature, those of `label` first."""
    classes = {
        feature: tuple(kind.names)
        for feature, kind in sorted(features.items())
        if isinstance(kind, tfds.features.ClassLabel)
    }
    if "label" not in classes:
        raise UserError(
            f"data set {name!r} has the features {', '.join(sorted(features))}: "
            "needed are 'audio' and 'label' (ClassLabel)"
        )
    return {"label": classes.pop("label"), **classes}
