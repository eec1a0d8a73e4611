"""Splits labeled examples so that every class has the same fraction of each split."""

from collections.abc import Callable
from typing import Any

import numpy as np

from regen_jax.data.builders.embedded_builder import Examples


def stratified_examples(
    labels: np.ndarray, per_class: int, example: Callable[[int], dict[str, Any]]
) -> dict[str, Examples]:
    """Returns the examples of each of the splits of `stratified_split`, keyed by row.

    Args:
      labels: int[N].
      per_class: examples of each class in `validation`, and as many in `test`.
      example: makes the example of a row, but for its `label`.
    """
    return {
        name: (
            (row, {**example(row), "label": int(labels[row])}) for row in rows.tolist()
        )
        for name, rows in stratified_split(labels, per_class).items()
    }


def stratified_split(
    labels: np.ndarray, per_class: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Divides examples into `train`, `validation` and `test`, alike on every machine.

    The rows of every class, in ascending order of the label, are permuted by one NumPy
    `RandomState(seed)`, whose stream NumPy promises never to change. The first
    `per_class` of each class are `test`, the next `per_class` are `validation`.

    Args:
      labels: int[N].
      per_class: examples of each class in `validation`, and as many in `test`.
      seed: of the permutations.

    Returns:
      Rows i64[R] of each split, in ascending order.
    """
    random = np.random.RandomState(seed)
    orders = [
        random.permutation(np.flatnonzero(labels == label))
        for label in np.unique(labels)
    ]
    parts = {
        "train": slice(2 * per_class, None),
        "validation": slice(per_class, 2 * per_class),
        "test": slice(per_class),
    }
    return {
        name: np.sort(np.concatenate([order[part] for order in orders]))
        for name, part in parts.items()
    }
