"""Sets of TFDS as a user may prepare them, for tests of readers."""

import tensorflow_datasets as tfds


class UserSet(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set of any features; subclasses say which examples each split has."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, data_dir, name, features, metadata=None):
        self.name, self._features, self._metadata = name, features, metadata
        super().__init__(data_dir=str(data_dir), file_format="array_record")

    def _info(self):
        metadata = self._metadata
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(self._features),
            metadata=None if metadata is None else tfds.core.MetadataDict(metadata),
        )
