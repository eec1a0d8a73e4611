"""Reads speech with its text from any prepared TFDS set that has both."""

import dataclasses
import logging
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.readers import raw_records
from regen_jax.data.readers.sound_records import AUDIO_FEATURES, SoundParser
from regen_jax.data.tfds import prepared
from regen_jax.errors import UserError
from regen_jax.modalities.text.characters import ENGLISH, normalize

_TEXT_FEATURES = ("text_normalized", "text")
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
        elif parser.sound.seconds(record) > max_seconds:
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
        source = raw_records.open_source(builder, split)
        examples = raw_records.ParsedRecords(source, rows, parser.example)
    return Recordings(examples, sample_rate, tuple(too_long), tuple(unwritable))


@dataclasses.dataclass(frozen=True)
class _Parser:
    """Parses the records of a set.

    Attributes:
      text_feature: name of the feature with the text.
      sound: reads the samples.
    """

    text_feature: str
    sound: SoundParser

    @classmethod
    def of(
        cls, name: str, builder: tfds.core.DatasetBuilder, sample_rate: int
    ) -> "_Parser":
        """Returns the parser for the features of a set, or raises `UserError`."""
        features = builder.info.features
        text = next((name for name in _TEXT_FEATURES if name in features), None)
        if text is None or not set(AUDIO_FEATURES) & set(features):
            raise UserError(
                f"data set {name!r} has the features {', '.join(sorted(features))}: "
                "needed are 'text' or 'text_normalized', and 'audio' or 'speech'"
            )
        return cls(text, SoundParser.of(name, builder, sample_rate))

    def text(self, record: dict[str, Any]) -> str:
        return normalize(record[self.text_feature].decode())

    def example(self, record: dict[str, Any]) -> dict[str, Any]:
        audio = self.sound.wave(record)
        example = {"text": self.text(record), "audio": audio}
        if "phonemes" in record:
            example["phonemes"] = [phone.decode() for phone in record["phonemes"]]
        if "durations" in record:
            ratio = self.sound.sample_rate / self.sound.stored_rate
            ends = np.cumsum(record["durations"]) * ratio
            edges = np.minimum(np.rint(ends), len(audio)).astype(np.int32)
            edges[-1] = len(audio)
            example["durations"] = np.diff(edges, prepend=np.int32(0))
        return example
