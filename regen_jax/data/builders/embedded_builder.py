"""What the builders of data sets share: how they describe themselves."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow_datasets as tfds


class EmbeddedBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builds a set from files that Python packages ship.

    Attributes:
      DESCRIPTION: what the examples are, for the info of the set.
      HOMEPAGE: where the files come from.
      SUPERVISED_KEYS: features of source and target, if there is one pair of them.
      CITATION: of the source, as BibTeX.
      METADATA: what readers need besides the features, such as a sample rate.
    """

    DESCRIPTION: ClassVar[str]
    HOMEPAGE: ClassVar[str]
    SUPERVISED_KEYS: ClassVar[tuple[str, str] | None] = None
    CITATION: ClassVar[str] = ""
    METADATA: ClassVar[Mapping[str, Any]] = {}

    @abc.abstractmethod
    def features(self) -> tfds.features.FeatureConnector:
        """Returns the TFDS features of an example."""

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=self.features(),
            supervised_keys=self.SUPERVISED_KEYS,
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            metadata=tfds.core.MetadataDict(**self.METADATA) if self.METADATA else None,
        )
