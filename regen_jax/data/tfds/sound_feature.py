"""Makes TFDS's feature `Audio` readable without TensorFlow.

TFDS's own class asks TensorFlow for the name of a dtype when a prepared set is opened,
though sound that is stored as numbers is read without it.
"""

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.features import audio_feature
from tensorflow_datasets.core.proto import feature_pb2

from regen_jax.data.tfds.feature_aliases import replaces
from regen_jax.errors import UserError


class Sound(tfds.features.Tensor):
    """Samples [N] or [N, channels] and their rate in Hz; replaces `Audio` in a set."""

    ALIASES = replaces(audio_feature.Audio)

    def __init__(self, *, sample_rate: int | None, **options):
        super().__init__(**options)
        self.sample_rate = sample_rate

    @classmethod
    def from_json_content(cls, value: feature_pb2.AudioFeature) -> "Sound":
        """Creates the feature from its description in a prepared set.

        Raises:
          UserError: the set stores whole sound files.
        """
        if value.lazy_decode:
            raise UserError(
                "a data set that holds whole sound files, as `lazy_decode` does, "
                "cannot be read: prepare it without"
            )
        return cls(
            shape=tuple(n if n >= 0 else None for n in value.shape.dimensions),
            dtype=np.dtype(value.dtype),
            encoding=value.encoding or "none",
            sample_rate=value.sample_rate or None,
        )
