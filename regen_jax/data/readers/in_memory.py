"""Examples in memory that know where they come from."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from regen_jax.data.host_features import Origin


@dataclasses.dataclass(frozen=True, eq=False)
class Listed:
    """Examples of a task, for rules whose answers are kept beside the prepared data.

    Attributes:
      examples: all of them.
      origin: the set and the selection of it that they are.
    """

    examples: Sequence[dict[str, Any]]
    origin: Origin

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[index]
