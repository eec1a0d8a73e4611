"""Examples in memory with the prepared data that they come from."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from regen_jax.data.host_features import Origin


@dataclasses.dataclass(frozen=True, eq=False)
class InMemoryExamples:
    """Examples of a task whose host features are kept beside the prepared data.

    Attributes:
      examples: all examples of a split.
      origin: identifies them.
    """

    examples: Sequence[dict[str, Any]]
    origin: Origin

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]
