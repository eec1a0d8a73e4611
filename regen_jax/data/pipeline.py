"""Batches of examples: endless and shuffled for training, in one pass for evaluation.

A data source is any object with `__len__`, and with a `__getitem__` that returns a dict
of NumPy values, or trees of them, with the same keys, shapes and dtypes for every
index.
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


class DataSource(Protocol):
    """Random access to examples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Any]: ...


def training_batches(
    examples: DataSource,
    batch_size: int,
    seed: int,
    *,
    rows: np.ndarray | None = None,
    num_threads: int = 1,
) -> grain.DatasetIterator[Batch]:
    """Returns endless batches, in a new order every epoch; an epoch may end in a batch.

    A batch is a function of seed and step alone, so the state of the iterator is the
    number of steps taken: `get_state` and `set_state` resume exactly, on any number of
    hosts.

    Args:
      examples: the training set.
      batch_size: examples per step, over all hosts.
      seed: any non-negative integer.
      rows: the rows of each batch that this host reads, i64[R]; all of them if None.
      num_threads: threads that prepare batches while a step runs; with 0, no batch is
        prepared ahead.

    Returns:
      An iterator over dicts of arrays [R, ...].

    Raises:
      UserError: the training set is smaller than a batch.
    """
    check_batch_size(examples, batch_size)
    rows = np.arange(batch_size) if rows is None else rows
    batches = _ShuffledBatches(examples, batch_size, seed, rows)
    read_options = grain.ReadOptions(
        num_threads=num_threads, prefetch_buffer_size=2 * num_threads
    )
    return iter(grain.MapDataset.source(batches).to_iter_dataset(read_options))


def check_batch_size(
    examples: DataSource, batch_size: int, where: str = "batch_size"
) -> None:
    """Raises `UserError`, which names `where`, if a training set is below a batch."""
    if not 1 <= batch_size <= len(examples):
        raise UserError(
            f"{where}: a batch of {batch_size} cannot be drawn from {len(examples)} "
            f"training examples: choose a batch size from 1 to {len(examples)}"
        )


def evaluation_batches(examples: DataSource, batch_size: int) -> Iterator[Batch]:
    """Yields all examples once, in order, as batches; the last may be smaller."""
    for start in range(0, len(examples), batch_size):
        yield _load_batch(
            examples, range(start, min(start + batch_size, len(examples)))
        )


def first_batch(examples: DataSource, batch_size: int) -> Batch:
    """Returns the first examples in order, all if there are fewer than `batch_size`.

    For shapes and data-dependent initialization.
    """
    return _load_batch(examples, range(min(batch_size, len(examples))))


def subset(examples: DataSource, fraction: float, seed: int) -> DataSource:
    """Draws a fraction of the examples at random, at least one.

    Args:
      examples: any data source.
      fraction: from 0 to 1; with 1, `examples` itself is returned.
      seed: determines which examples are drawn. Of two fractions with the same seed,
        the larger one contains the smaller one.
    """
    if fraction == 1:
        return examples
    rows = _permutation(len(examples), seed, epoch=0)
    return select(examples, rows[: max(1, round(fraction * len(examples)))])


def select(examples: DataSource, rows: np.ndarray) -> DataSource:
    """Returns the examples at `rows`, i64[R], in that order."""
    return _Rows(examples, np.asarray(rows))


def stack(examples: Sequence[dict[str, Any]]) -> Batch:
    """Stacks examples to one batch, leaf by leaf on a new leading axis."""
    return jax.tree.map(lambda *values: np.stack(values), *examples)


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    examples: DataSource
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.examples[int(self.rows[index])]


@dataclasses.dataclass(frozen=True, eq=False)
class _ShuffledBatches:
    """This host's rows of every batch, by step.

    Grain's own `shuffle`, `repeat` and `batch` work example by example and need eight
    times the processor time, which the step that runs meanwhile would lack.
    """

    examples: DataSource
    batch_size: int
    seed: int
    rows: np.ndarray

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, step: int) -> Batch:
        positions = step * self.batch_size + self.rows
        epochs, positions = np.divmod(positions, len(self.examples))
        rows = [
            _permutation(len(self.examples), self.seed, epoch)[
                positions[epochs == epoch]
            ]
            for epoch in np.unique(epochs).tolist()
        ]
        return _load_batch(self.examples, np.concatenate(rows).tolist())


@functools.lru_cache(maxsize=4)
def _permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    """Returns a permutation of `length` rows, the same with every version of NumPy."""
    bits = np.random.MT19937(np.random.SeedSequence([seed, epoch]))
    return np.random.RandomState(bits).permutation(length)


def _load_batch(examples: DataSource, rows: Iterable[int]) -> Batch:
    return stack([examples[row] for row in rows])
