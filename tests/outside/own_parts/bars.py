"""A data set: images of 4 x 4 pixels in which one of 3 columns is lit."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds


class Bars(tfds.core.GeneratorBasedBuilder):
    """The column and its brightness."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "column": tfds.features.Scalar(np.int32),
            "brightness": tfds.features.Scalar(np.float32),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        sizes = {"train": 12, "validation": 3, "test": 3}
        return {name: self._generate_examples(size) for name, size in sizes.items()}

    def _generate_examples(self, size: int) -> Iterator[tuple[int, dict]]:
        for i in range(size):
            yield i, {"column": i % 3, "brightness": np.float32(0.5 + i / 24)}
