"""The outputs of a run for each held-out example, in a file beside its metrics.

One JSON object per example, one per line: texts, such as `output` if Y is a text, and
`[numerator, denominator]` under the name of a metric, which is the ratio of their sums
over all lines. Does not import JAX.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from regen_jax.errors import UserError
from regen_jax.files import write_atomically

Columns = Mapping[str, Sequence[str] | np.ndarray]
"""By name; see `Task.per_example`."""


def path(workdir: Path, split: str) -> Path:
    """Returns the file of a run's outputs on a split."""
    return workdir / f"outputs_{split}.jsonl"


def write(file: Path, columns: Columns) -> None:
    """Writes the columns, one line per example, completely or not at all."""
    values = {
        name: np.asarray(column).tolist() if isinstance(column, np.ndarray) else column
        for name, column in columns.items()
    }
    lines = [
        json.dumps(dict(zip(values, row, strict=True)), ensure_ascii=False)
        for row in zip(*values.values(), strict=True)
    ]
    write_atomically(file, "".join(f"{line}\n" for line in lines))


def read(file: Path) -> dict[str, list[str] | np.ndarray]:
    """Returns the columns of a file that `write` wrote.

    Raises:
      UserError: it cannot be read, or is damaged.
    """
    try:
        # Not `splitlines`, which breaks at characters that texts may have.
        lines = file.read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines if line]
        columns = {name: [row[name] for row in rows] for name, _ in rows[0].items()}
        return {name: _column(name, column) for name, column in columns.items()}
    except (
        *(OSError, ValueError, LookupError, TypeError, AttributeError),
        *(OverflowError, RecursionError),
    ) as error:
        raise UserError(f"{file} cannot be read: {error}") from error


def matching_rows(first: Columns, second: Columns) -> list[int]:
    """Returns the rows of the second outputs that are the examples of the first.

    Examples are identified by their texts other than the output; equal ones are matched
    in order.

    Raises:
      UserError: the texts or the examples differ.
    """
    names = [
        name
        for name, column in first.items()
        if name != "output" and not isinstance(column, np.ndarray)
    ]
    if missing := [name for name in names if name not in second]:
        raise UserError(f"the tasks of the runs differ: one has no {missing[0]!r}")
    examples, others = (
        list(zip(*(columns[name] for name in names), strict=True))
        for columns in (first, second)
    )
    rows_of = defaultdict(list)
    for row, example in reversed(list(enumerate(others))):
        rows_of[example].append(row)
    rows, unmatched = [], []
    for example in examples:
        if rows_of[example]:
            rows.append(rows_of[example].pop())
        else:
            unmatched.append(example)
    if unmatched or len(examples) != len(others):
        such = f", such as {unmatched[0][-1]!r}" if unmatched else ""
        raise UserError(
            f"the runs were evaluated on different examples: {len(examples)} and "
            f"{len(others)}, of which {len(examples) - len(unmatched)} are the same{such}"
        )
    return rows


def _column(name: str, column: list) -> list[str] | np.ndarray:
    """Texts as they are, numerators and denominators as f64[N, 2]."""
    if all(isinstance(value, str) for value in column):
        return column
    values = np.array(column, float).reshape(len(column), 2)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has values that are not finite")
    return values
