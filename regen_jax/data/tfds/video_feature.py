"""Makes TFDS's feature `Video` readable without TensorFlow.

TFDS's own class asks TensorFlow for a dtype when a prepared set is opened, though frames
that are stored as pictures are read without it.
"""

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.features import video_feature
from tensorflow_datasets.core.proto import feature_pb2

from regen_jax.data.tfds.feature_aliases import replaces


class Frames(tfds.features.Sequence):
    """Pictures [H, W, C] of a video; replaces `Video` in a set."""

    ALIASES = replaces(video_feature.Video)

    @classmethod
    def from_json_content(cls, value: feature_pb2.VideoFeature) -> "Frames":
        """Creates the feature from its description in a prepared set."""
        length, *shape = (n if n >= 0 else None for n in value.shape.dimensions)
        image = tfds.features.Image(
            shape=tuple(shape),
            dtype=np.dtype(value.dtype or "uint8"),
            encoding_format=value.encoding_format or None,
        )
        return cls(image, length=length)
