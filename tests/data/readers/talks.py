"""A set of sounds as a user may prepare it, for tests of readers."""

import tensorflow_datasets as tfds

from regen_jax.data.tfds import splits


class Talks(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Sounds with any other features; every split has all examples."""

    VERSION = tfds.core.Version("1.0.0")
    name = "talks"

    _splits = splits.NAMES

    def __init__(self, data_dir, examples, features, rate):
        self._examples, self._features, self._rate = examples, features, rate
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self):
        metadata = {"sample_rate": self._rate} if self._rate else {}
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(self._features),
            metadata=tfds.core.MetadataDict(metadata),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in self._splits}

    def _generate_examples(self):
        yield from enumerate(self._examples)
