"""Batches of examples: endless and shuffled to train, in one pass to evaluate.

A source is any object with `__len__`, and with a `__getitem__` that gives a dict of
NumPy values, or trees of them, with the same keys, shapes and dtypes for every index.
"""

import dataclasses
import functools
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import grain
import jax
import numpy as np

from regen_jax.errors import UserError

Batch = dict[str, Any]


class Source(Protocol):
    """Random access to examples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Any]: ...


def training_batches(
    source: Source,
    batch_size: int,
    seed: int,
    *,
    rows: np.ndarray | None = None,
    num_threads: int = 1,
) -> grain.DatasetIterator[Batch]:
    """Endless batches, every epoch in a new order; an epoch may end within a batch.

    A batch is a function of seed and step alone, so the iterator's state is the number
    of steps taken: `get_state` and `set_state` resume exactly, on any number of hosts.

    Args:
      source: the examples.
      batch_size: examples a step, over all hosts.
      seed: any non-negative integer.
      rows: those of each batch that this host reads, i64[R]; all of them if not given.
      num_threads: threads that prepare batches while a step runs; 0 prepares none
        ahead.

    Returns:
      An iterator over dicts of arrays [R, ...].

    Raises:
      UserError: the source is smaller than a batch.
    """
    check_batch_size(source, batch_size)
    rows = np.arange(batch_size) if rows is None else rows
    batches = _ShuffledBatches(source, batch_size, seed, rows)
    ahead = grain.ReadOptions(
        num_threads=num_threads, prefetch_buffer_size=2 * num_threads
    )
    return iter(grain.MapDataset.source(batches).to_iter_dataset(ahead))


def check_batch_size(source: Source, batch_size: int) -> None:
    """`UserError` where a training set is smaller than a batch."""
    if not 1 <= batch_size <= len(source):
        raise UserError(
            f"a batch of {batch_size} cannot be drawn from {len(source)} training "
            f"examples: choose a batch size from 1 to {len(source)}"
        )


def evaluation_batches(source: Source, batch_size: int) -> Iterator[Batch]:
    """One pass in order: dicts of arrays [batch_size, ...]; the last may be smaller."""
    for start in range(0, len(source), batch_size):
        yield _stacked(source, range(start, min(start + batch_size, len(source))))


def share(source: Source, part: float, seed: int) -> Source:
    """That part of a source, drawn by the seed; the source itself where it is 1."""
    if part == 1:
        return source
    rows = _order(len(source), seed, epoch=0)
    return select(source, rows[: max(1, round(part * len(source)))])


def select(source: Source, rows: np.ndarray) -> Source:
    """Returns the examples at rows i64[R] of a source, in that order."""
    return _Rows(source, np.asarray(rows))


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    source: Source
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.source[int(self.rows[index])]


def first_batch(source: Source, batch_size: int) -> Batch:
    """The first examples in order: for shapes and data-dependent starts."""
    return _stacked(source, range(min(batch_size, len(source))))


@dataclasses.dataclass(frozen=True, eq=False)
class _ShuffledBatches:
    """This host's rows of every batch, by step.

    Grain's own `shuffle`, `repeat` and `batch` work example by example and need eight
    times the processor time, which the step that runs meanwhile would lack.
    """

    source: Source
    batch_size: int
    seed: int
    rows: np.ndarray

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, step: int) -> Batch:
        places = step * self.batch_size + self.rows
        epochs, places = np.divmod(places, len(self.source))
        rows = [
            _order(len(self.source), self.seed, epoch)[places[epochs == epoch]]
            for epoch in np.unique(epochs).tolist()
        ]
        return _stacked(self.source, np.concatenate(rows).tolist())


@functools.lru_cache(maxsize=4)
def _order(length: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of `length` rows, the same under every version of NumPy."""
    bits = np.random.MT19937(np.random.SeedSequence([seed, epoch]))
    return np.random.RandomState(bits).permutation(length)


def _stacked(source: Source, rows: Iterable[int]) -> Batch:
    return stack([source[row] for row in rows])


def stack(examples: Sequence[dict[str, Any]]) -> Batch:
    """Examples as one batch."""
    return jax.tree.map(lambda *values: np.stack(values), *examples)
