"""Speech with its text, from any prepared TFDS set that has both."""

import dataclasses
import logging
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.readers import raw_records
from regen_jax.data.tfds import prepared
from regen_jax.data.tfds.sound_feature import Sound
from regen_jax.errors import UserError
from regen_jax.modalities.audio import files
from regen_jax.modalities.text.characters import ENGLISH, normalize

_TEXT = ("text_normalized", "text")
_AUDIO = ("speech", "audio")
_MOST = 2
"""Peaks slightly above 1 are clipped; samples beyond this must have another unit."""
logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Random access to utterances.

    `self[i]` is `{'text': str, 'audio': int16 [N]}`, and where the set has them
    `'phonemes': list[str]` and `'durations': int32` of as many, in samples, whose sum
    is N. The text is normalized; do not write to the arrays.

    Attributes:
      examples: what `self[i]` reads.
      sample_rate: samples a second.
      too_long: the normalized texts of examples that were left out for their length.
      unwritable: likewise for an unknown character, or as it is empty.
    """

    examples: Sequence[dict[str, Any]] = dataclasses.field(repr=False)
    sample_rate: int
    too_long: tuple[str, ...] = dataclasses.field(repr=False)
    unwritable: tuple[str, ...] = dataclasses.field(repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]


def open_recordings(
    name: str,
    split: str,
    data_dir: str = "",
    sample_rate: int = 16_000,
    max_seconds: float = 2.0,
    characters: Collection[str] = ENGLISH,
    max_bytes: int = 2**31,
) -> Recordings:
    """Opens a prepared TFDS set of speech.

    The set has the feature `text` or `text_normalized`, and `audio` or `speech`, of
    16-bit samples or floating point, which are resampled. Utterances that are too long,
    or whose normalized text has other characters, are left out, counted and logged.

    Args:
      name: name of the set in TFDS: `spoken_bible`, `tuxpaint_spanish`, `ljspeech`.
      split: see `records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      sample_rate: Hz.
      max_seconds: the longest utterance.
      characters: those that a text may have.
      max_bytes: sound up to this size is held in memory; beyond it, an utterance is
        read from its file at every access.

    Raises:
      UserError: the set is not prepared in that folder, has no such split, lacks speech,
        text or the rate of its samples, has samples far beyond [-1, 1], is damaged, or
        has no utterance that fits.
    """
    builder = prepared.require(name, split, data_dir)
    reader = _Reader.of(name, builder, sample_rate)
    kept, rows, too_long, unwritable = [], [], [], []
    size = 0
    for row, record in enumerate(raw_records.read(builder, name, split, data_dir)):
        text = reader.text(record)
        if not text or not set(text) <= set(characters):
            unwritable.append(text)
        elif len(record[reader.audio_name]) > max_seconds * reader.rate:
            too_long.append(text)
        else:
            example = reader.example(record)
            rows.append(row)
            size += example["audio"].nbytes
            if size <= max_bytes:
                kept.append(example)
    left_out = (
        f"{len(too_long)} longer than {max_seconds:g} s and {len(unwritable)} with "
        "other characters than those known"
    )
    if not rows:
        raise UserError(f"nothing is left of {name!r} ({split}): {left_out}")
    if too_long or unwritable:
        logger.info("%s (%s): left out are %s", name, split, left_out)
    if size > max_bytes:
        kept = _Stored(raw_records.open_source(builder, split), rows, reader)
    return Recordings(kept, sample_rate, tuple(too_long), tuple(unwritable))


@dataclasses.dataclass(frozen=True)
class _Reader:
    """How to read the records of a set whose samples are at `rate` Hz."""

    name: str
    text_name: str
    audio_name: str
    rate: int
    new_rate: int

    @classmethod
    def of(
        cls, name: str, builder: tfds.core.DatasetBuilder, new_rate: int
    ) -> "_Reader":
        features = builder.info.features
        found = [
            next((known for known in names if known in features), None)
            for names in (_TEXT, _AUDIO)
        ]
        if None in found:
            raise UserError(
                f"data set {name!r} has the features {', '.join(sorted(features))}: "
                "needed are 'text' or 'text_normalized', and 'audio' or 'speech'"
            )
        audio, metadata = features[found[1]], builder.info.metadata or {}
        is_sound = isinstance(audio, Sound | tfds.features.Audio)
        rate = audio.sample_rate if is_sound else metadata.get("sample_rate")
        if not rate:
            raise UserError(
                f"data set {name!r} does not say its sample rate: needed is a feature "
                "Audio(sample_rate=...), or 'sample_rate' in its metadata"
            )
        return cls(name, *found, int(rate), new_rate)

    def text(self, record: dict[str, Any]) -> str:
        return normalize(record[self.text_name].decode())

    def example(self, record: dict[str, Any]) -> dict[str, Any]:
        audio = self._int16(record[self.audio_name])
        example = {"text": self.text(record), "audio": audio}
        if "phonemes" in record:
            example["phonemes"] = [phone.decode() for phone in record["phonemes"]]
        if "durations" in record:
            ends = np.cumsum(record["durations"]) * (self.new_rate / self.rate)
            edges = np.minimum(np.rint(ends), len(audio)).astype(np.int32)
            edges[-1] = len(audio)
            example["durations"] = np.diff(edges, prepend=np.int32(0))
        return example

    def _int16(self, samples: np.ndarray) -> np.ndarray:
        samples = np.asarray(samples)
        if np.issubdtype(samples.dtype, np.integer):
            if len(samples) and np.abs(samples.astype(np.int64)).max() > 2**15:
                raise UserError(
                    f"data set {self.name!r} has more than 16 bits a sample"
                )
            if self.rate == self.new_rate and samples.ndim == 1:
                return samples.astype(np.int16)
            samples = samples / 2**15
        elif not np.abs(samples).max(initial=0) <= _MOST:
            raise UserError(
                f"data set {self.name!r} has floating-point samples that are not "
                f"numbers or beyond {_MOST}: needed are samples in [-1, 1]"
            )
        if samples.ndim == 2:
            samples = samples.mean(axis=1)
        return files.to_int16(files.resample(samples, self.rate, self.new_rate))


@dataclasses.dataclass(frozen=True)
class _Stored:
    """Examples read from their files on every access."""

    source: Sequence[dict[str, Any]]
    rows: list[int]
    reader: _Reader

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.reader.example(self.source[self.rows[index]])
