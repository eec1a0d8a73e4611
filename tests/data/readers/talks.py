"""A set of sounds as a user may prepare it, for tests of readers."""

from regen_jax.data.tfds import splits
from tests.data.readers.user_set import UserSet


class Talks(UserSet, skip_registration=True):
    """Sounds with any other features; every split has all examples."""

    _splits = splits.NAMES

    def __init__(self, data_dir, examples, features, rate):
        self._examples = examples
        metadata = {"sample_rate": rate} if rate else {}
        super().__init__(data_dir, "talks", features, metadata)

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in self._splits}

    def _generate_examples(self):
        yield from enumerate(self._examples)
