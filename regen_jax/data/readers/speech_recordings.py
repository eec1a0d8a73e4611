"""Reads speech with its text from any prepared TFDS set that has both."""

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

_TEXT_FEATURES = ("text_normalized", "text")
_AUDIO_FEATURES = ("speech", "audio")
_MAX_AMPLITUDE = 2
"""Peaks slightly above 1 are clipped; samples beyond this must have another unit."""
logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class Recordings:
    """Random access to utterances.

    `self[i]` is `{'text': str, 'audio': i16[N]}`, and, if the set has them,
    `'phonemes': list[str]` and `'durations'` i32 of as many, in samples, whose sum is
    N. The text is normalized; do not write to the arrays.

    Attributes:
      examples: what `self[i]` reads.
      sample_rate: in Hz.
      too_long: normalized texts of the examples left out for their length.
      unwritable: those of the examples left out for an unknown character, or as empty.
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
    """Opens a split of a prepared TFDS set of speech.

    The set has the feature `text` or `text_normalized`, and `audio` or `speech`, of
    16-bit samples or floating point, which are resampled. Utterances that are too long,
    or whose normalized text has other characters, are left out; their number is logged.

    Args:
      name: of the set in TFDS, such as `spoken_bible`, `tuxpaint_spanish`, `ljspeech`.
      split: see `raw_records.load`.
      data_dir: the folder that holds the sets; TFDS's default if empty.
      sample_rate: of the audio that is returned, in Hz.
      max_seconds: the longest utterance.
      characters: that a text may have.
      max_bytes: sound up to this size is held in memory; of more, an utterance is read
        from its file at every access.

    Raises:
      UserError: the set is not prepared in that folder, lacks the split, speech, text
        or the rate of its samples, has samples far beyond [-1, 1], is damaged, or has
        no utterance that fits.
    """
    builder = prepared.require(name, split, data_dir)
    parser = _Parser.of(name, builder, sample_rate)
    examples, rows, too_long, unwritable = [], [], [], []
    size = 0
    for row, record in enumerate(raw_records.read(builder, name, split, data_dir)):
        text = parser.text(record)
        if not text or not set(text) <= set(characters):
            unwritable.append(text)
        elif len(record[parser.audio_feature]) > max_seconds * parser.stored_rate:
            too_long.append(text)
        else:
            example = parser.example(record)
            rows.append(row)
            size += example["audio"].nbytes
            if size <= max_bytes:
                examples.append(example)
    left_out = (
        f"{len(too_long)} longer than {max_seconds:g} s and {len(unwritable)} with "
        "unknown characters"
    )
    if not rows:
        raise UserError(f"nothing is left of {name!r} ({split}): {left_out}")
    if too_long or unwritable:
        logger.info("%s (%s): left out are %s", name, split, left_out)
    if size > max_bytes:
        examples = _RecordingsOnDisk(
            raw_records.open_source(builder, split), rows, parser
        )
    return Recordings(examples, sample_rate, tuple(too_long), tuple(unwritable))


@dataclasses.dataclass(frozen=True)
class _Parser:
    """Parses the records of a set.

    Attributes:
      name: of the set.
      text_feature: name of the feature with the text.
      audio_feature: name of the feature with the samples.
      stored_rate: of the stored samples, in Hz.
      sample_rate: of the samples that are returned, in Hz.
    """

    name: str
    text_feature: str
    audio_feature: str
    stored_rate: int
    sample_rate: int

    @classmethod
    def of(
        cls, name: str, builder: tfds.core.DatasetBuilder, sample_rate: int
    ) -> "_Parser":
        """Returns the parser for the features of a set, or raises `UserError`."""
        features = builder.info.features
        text, audio = (
            next((name for name in names if name in features), None)
            for names in (_TEXT_FEATURES, _AUDIO_FEATURES)
        )
        if text is None or audio is None:
            raise UserError(
                f"data set {name!r} has the features {', '.join(sorted(features))}: "
                "needed are 'text' or 'text_normalized', and 'audio' or 'speech'"
            )
        is_sound = isinstance(features[audio], Sound | tfds.features.Audio)
        rate = (
            features[audio].sample_rate
            if is_sound
            else (builder.info.metadata or {}).get("sample_rate")
        )
        if not rate:
            raise UserError(
                f"data set {name!r} does not say its sample rate: needed is a feature "
                "Audio(sample_rate=...), or 'sample_rate' in its metadata"
            )
        return cls(name, text, audio, int(rate), sample_rate)

    def text(self, record: dict[str, Any]) -> str:
        return normalize(record[self.text_feature].decode())

    def example(self, record: dict[str, Any]) -> dict[str, Any]:
        audio = self._to_int16(record[self.audio_feature])
        example = {"text": self.text(record), "audio": audio}
        if "phonemes" in record:
            example["phonemes"] = [phone.decode() for phone in record["phonemes"]]
        if "durations" in record:
            ratio = self.sample_rate / self.stored_rate
            ends = np.cumsum(record["durations"]) * ratio
            edges = np.minimum(np.rint(ends), len(audio)).astype(np.int32)
            edges[-1] = len(audio)
            example["durations"] = np.diff(edges, prepend=np.int32(0))
        return example

    def _to_int16(self, samples: np.ndarray) -> np.ndarray:
        """Resamples [N] or [N, channels] to i16[M]; `UserError` for another unit."""
        samples = np.asarray(samples)
        if np.issubdtype(samples.dtype, np.integer):
            if len(samples) and np.abs(samples.astype(np.int64)).max() > 2**15:
                raise UserError(
                    f"data set {self.name!r} has more than 16 bits per sample"
                )
            if self.stored_rate == self.sample_rate and samples.ndim == 1:
                return samples.astype(np.int16)
            samples = samples / 2**15
        elif not np.abs(samples).max(initial=0) <= _MAX_AMPLITUDE:
            raise UserError(
                f"data set {self.name!r} has floating-point samples that are NaN or "
                f"beyond {_MAX_AMPLITUDE}: needed are samples in [-1, 1]"
            )
        if samples.ndim == 2:
            samples = samples.mean(axis=1)
        return files.to_int16(
            files.resample(samples, self.stored_rate, self.sample_rate)
        )


@dataclasses.dataclass(frozen=True)
class _RecordingsOnDisk:
    """Examples that are read from their files on every access."""

    source: Sequence[dict[str, Any]]
    rows: list[int]
    parser: _Parser

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.parser.example(self.source[self.rows[index]])
