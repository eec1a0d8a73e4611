"""Adds the x′ and y′ of abstractions that run on the host to examples."""

import ast
import dataclasses
import functools
import hashlib
import importlib
import inspect
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from regen_jax.data.array_cache import load_or_compute
from regen_jax.data.pipeline import Batch, stack
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature, Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import check, to_dtype

VALUES = ("x", "y", "x_prime", "y_prime")
"""The keys of an example that are batched; all others are metadata."""

_SECONDS_BETWEEN_LINES = 20
"""On how many values are computed, where no terminal shows a bar."""

logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class Origin:
    """The prepared data that examples come from, which identifies cached features.

    Attributes:
      folder: the folder of one version of a prepared data set.
      selection: which examples of it, and in which order; any text.
    """

    folder: Path
    selection: str


@functools.lru_cache(maxsize=8)
def open_examples(
    task: Task, regeneration: Regeneration, split: str
) -> Sequence[dict[str, Any]]:
    """Opens a split of a task, adds host features and drops metadata.

    If the task's examples have an `origin`, host features are computed once for the
    whole split and kept beside the prepared data; else each is computed whenever its
    example is read.

    Args:
      task: gives the examples.
      regeneration: the pipeline, whose source encoder and abstraction may run on the host.
      split: `train`, `validation`, `test` or `targets`.

    Returns:
      Random access to dicts with those of the keys `VALUES` that exist.

    Raises:
      UserError: there is no such split, none of its examples fits the options, or the
        first is not of the spaces of the task.
    """
    examples = task.examples(split)
    if not len(examples):
        raise UserError(
            f"no example of the split {split!r} fits config.data: raise its limits"
        )
    _check_spaces(task, examples[0], split)
    origin = getattr(examples, "origin", None)
    columns = {
        name: _make_column(examples, feature, name[0], origin)
        for name, feature in _host_features(regeneration).items()
        if name[0] in examples[0]
    }
    if not columns and set(examples[0]) <= set(VALUES):
        return examples
    return _WithHostFeatures(examples, columns)


def add_host_features(example: Example, regeneration: Regeneration) -> dict[str, Any]:
    """Returns an example with its host features and without metadata.

    A host feature of a value that the example lacks is left out: a prompt has no y, and
    so no y′.
    """
    values = {name: example[name] for name in VALUES if name in example}
    for name, feature in _host_features(regeneration).items():
        if name[0] in example:
            values[name] = feature.extract(example[name[0]], example)
    return values


def as_batch(examples: Iterable[Example], regeneration: Regeneration) -> Batch:
    """Adds host features to examples and stacks them to one batch."""
    return stack([add_host_features(example, regeneration) for example in examples])


def source_code(name: str) -> dict[str, str]:
    """Returns the source code of a module and of all it imports from this package.

    Args:
      name: of the module, such as `regen_jax.abstractions.text.phonemes`.

    Returns:
      Source code by module name.
    """
    code: dict[str, str] = {}
    queue = [name]
    package = __name__.partition(".")[0]
    while queue:
        module = importlib.import_module(queue.pop())
        if module.__name__ in code:
            continue
        code[module.__name__] = inspect.getsource(module)
        for node in ast.walk(ast.parse(code[module.__name__])):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(package):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                queue += [node.module, *(set(inner) & set(sys.modules))]
    return code


def _check_spaces(task: Task, example: Example, split: str) -> None:
    """Raises a UserError where x or y of an example is not of the space of the task."""
    for name, space in (("x", task.x), ("y", task.y)):
        if name not in example:
            continue
        batch = stack([{name: example[name]}])[name]
        try:
            jax.eval_shape(lambda x, of=space: check(of, to_dtype(of, x), "it"), batch)
        except (AssertionError, AttributeError, TypeError, KeyError) as error:
            given = ", ".join(
                f"{leaf.dtype}{list(leaf.shape[1:])}" for leaf in jax.tree.leaves(batch)
            )
            raise UserError(
                f"examples of the split {split!r} have {name} of {given}, which is not of "
                f"the space {space} of the task {type(task).__name__}"
            ) from error


def _host_features(regeneration: Regeneration) -> dict[str, HostFeature]:
    """Returns the parts that run on the host by the key of their output."""
    pairs = {"x_prime": regeneration.source, "y_prime": regeneration.abstraction}
    return {name: part for name, part in pairs.items() if part.runs_on_host}


@dataclasses.dataclass(frozen=True)
class _Column:
    """One host feature of every example.

    Attributes:
      feature: computes it.
      key: of the value it is computed from, `x` or `y`.
      values: the feature of every example [N, ...]; None computes it on access.
    """

    feature: HostFeature
    key: str
    values: np.ndarray | None

    def at(self, index: int, example: Example) -> np.ndarray:
        if self.values is not None:
            return self.values[index]
        return self.feature.extract(example[self.key], example)


@dataclasses.dataclass(frozen=True)
class _WithHostFeatures:
    examples: Sequence[Example]
    columns: dict[str, _Column]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.examples[index]
        values = {name: example[name] for name in VALUES if name in example}
        for name, column in self.columns.items():
            values[name] = column.at(index, example)
        return values


def _make_column(
    examples: Sequence[Example], feature: HostFeature, key: str, origin: Origin | None
) -> _Column:
    if origin is None:
        return _Column(feature, key, None)
    name = type(feature).__name__
    # The cache is keyed by options and code: neither other options nor a later version
    # of the code may read these values.
    code = source_code(inspect.getmodule(type(feature)).__name__)
    digest = hashlib.sha256(
        f"{feature} of {key} in {origin.selection}: {sorted(code.items())}".encode()
    ).hexdigest()[:16]

    def compute() -> np.ndarray:
        number = len(examples)
        logger.info("computing %s of %s examples, once", name, f"{number:,}")
        bar = tqdm(total=number, desc=name, disable=None, leave=False)
        values, said = [], time.monotonic()
        with bar:
            for example in map(examples.__getitem__, range(number)):
                values.append(feature.extract(example[key], example))
                bar.update()
                if bar.disable and time.monotonic() - said > _SECONDS_BETWEEN_LINES:
                    logger.info("%s: %s of %s", name, f"{len(values):,}", f"{number:,}")
                    said = time.monotonic()
        return np.stack(values)

    values = load_or_compute(
        origin.folder / "annotations" / f"{name}-{digest}.npy",
        lambda array: len(array) == len(examples),
        compute,
    )
    return _Column(feature, key, values)
