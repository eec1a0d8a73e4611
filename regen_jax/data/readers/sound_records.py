"""Reads the sound of a record of any prepared TFDS set."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from regen_jax.data.tfds.sound_feature import Sound
from regen_jax.errors import UserError
from regen_jax.modalities.audio import files

AUDIO_FEATURES = ("speech", "audio")
"""Names of the feature with the samples."""
_MAX_AMPLITUDE = 2
"""Peaks slightly above 1 are clipped; samples beyond this must have another unit."""


@dataclasses.dataclass(frozen=True)
class SoundParser:
    """Parses the sound of the records of a set.

    Attributes:
      name: of the set.
      feature: name of the feature with the samples.
      stored_rate: of the stored samples, in Hz.
      sample_rate: of the samples that are returned, in Hz.
    """

    name: str
    feature: str
    stored_rate: int
    sample_rate: int

    @classmethod
    def of(
        cls, name: str, builder: tfds.core.DatasetBuilder, sample_rate: int
    ) -> "SoundParser":
        """Returns the parser for the features of a set.

        Args:
          name: of the set.
          builder: of the prepared set.
          sample_rate: to which sounds are resampled, in Hz.

        Raises:
          UserError: there is no sound, or not its sample rate.
        """
        features = builder.info.features
        feature = next((name for name in AUDIO_FEATURES if name in features), None)
        if feature is None:
            raise UserError(
                f"data set {name!r} has the features {', '.join(sorted(features))}: "
                "needed is 'audio' or 'speech'"
            )
        is_sound = isinstance(features[feature], Sound | tfds.features.Audio)
        rate = (
            features[feature].sample_rate
            if is_sound
            else (builder.info.metadata or {}).get("sample_rate")
        )
        if not rate:
            raise UserError(
                f"data set {name!r} does not say its sample rate: needed is a feature "
                "Audio(sample_rate=...), or 'sample_rate' in its metadata"
            )
        return cls(name, feature, int(rate), sample_rate)

    def seconds(self, record: dict[str, Any]) -> float:
        """Returns the duration of the sound of a record."""
        return len(record[self.feature]) / self.stored_rate

    def wave(self, record: dict[str, Any]) -> np.ndarray:
        """Returns the sound of a record at `sample_rate`, i16[N], with one channel.

        Raises:
          UserError: its samples, [M] or [M, channels], have another unit.
        """
        samples = np.asarray(record[self.feature])
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
