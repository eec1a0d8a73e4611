"""What the builders of data sets share: a class has what differs, its README the rest."""

import abc
import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

Examples = Iterable[tuple[int | str, Mapping[str, Any]]]
"""Each with a key, which is unique in its split."""


def wave() -> tfds.features.Tensor:
    """Returns the feature of a wave, i16[N]."""
    return tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="bytes")


class EmbeddedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builds a set from files that Python packages ship.

    The README beside the builder, up to how to prepare the set, is its description, with
    source, license and citation; without a README, the docstring of its class is.

    Attributes:
      RELEASE_NOTES: what is new in each version; the newest is the one that is built.
      FEATURES: what is stored of an example.
      SUPERVISED_KEYS: features of source and target, if there is one pair of them.
      METADATA: what readers need besides the features, such as a sample rate.
    """

    RELEASE_NOTES: ClassVar[Mapping[str, str]]
    FEATURES: ClassVar[Mapping[str, tfds.features.FeatureConnector]]
    SUPERVISED_KEYS: ClassVar[tuple[str, str] | None] = None
    METADATA: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls.VERSION = max(map(tfds.core.Version, cls.RELEASE_NOTES))

    @abc.abstractmethod
    def splits(self) -> Mapping[str, Examples]:
        """Returns the examples of each split."""

    def _info(self) -> tfds.core.DatasetInfo:
        readme = Path(inspect.getfile(type(self))).with_name("README.md")
        text = readme.read_text() if readme.exists() else inspect.getdoc(type(self))
        return tfds.core.DatasetInfo(
            builder=self,
            description=(text or "").partition("## Prepare")[0].strip(),
            features=tfds.features.FeaturesDict(dict(self.FEATURES)),
            supervised_keys=self.SUPERVISED_KEYS,
            metadata=tfds.core.MetadataDict(**self.METADATA) if self.METADATA else None,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator]:
        splits = self.splits().items()
        return {name: self._generate_examples(examples) for name, examples in splits}

    def _generate_examples(self, examples: Examples) -> Iterator:
        yield from examples
