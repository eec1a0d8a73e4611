"""Types that the seams share."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import jax

Variables = Mapping[str, Any]
"""Flax collections by name: `params`, and what else a model keeps."""
RunVariables = Mapping[str, Variables]
"""Variables of stages of a run, by the names of the stages."""
Example = Mapping[str, Any]
"""`x`, `y` where it is known, `x_prime` and `y_prime` where a feature for the host made
them, and metadata: whatever else a data set has. A batch of examples has no metadata."""
Key = jax.Array
"""A `jax.random` key, or one per example, [B]."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Passes(Generic[T]):
    """An iterable of batches: each iteration is a new pass over the training examples.

    Attributes:
      start: makes the iterator of a pass.
    """

    start: Callable[[], Iterator[T]]

    def __iter__(self) -> Iterator[T]:
        return self.start()
