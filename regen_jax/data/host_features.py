"""Examples with the x′ and y′ of rules that run on the host."""

import ast
import contextlib
import dataclasses
import functools
import hashlib
import importlib
import inspect
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from regen_jax.data.pipeline import Batch, stack
from regen_jax.errors import UserError
from regen_jax.interfaces import Example, HostFeature, Task
from regen_jax.regeneration import Regeneration

VALUES = ("x", "y", "x_prime", "y_prime")

logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where examples come from: a prepared data set, and which of it."""

    folder: Path
    selection: str


@functools.lru_cache(maxsize=8)
def open_examples(
    task: Task, parts: Regeneration, split: str
) -> Sequence[dict[str, Any]]:
    """The task's examples without notes, and with what rules on the host say of them.

    Where the task's examples have an `origin`, what the rules say is kept there, and
    computed once; else it is found out whenever an example is read.

    Raises:
      UserError: there is no such split, or none of its examples fits the options.
    """
    examples = task.examples(split)
    if not len(examples):
        raise UserError(
            f"no example of the split {split!r} fits config.data: raise its limits"
        )
    origin = getattr(examples, "origin", None)
    cached = {
        name: _Cached(examples, rule, name[0], origin)
        for name, rule in _rules(parts).items()
        if name[0] in examples[0]
    }
    if not cached and set(examples[0]) <= set(VALUES):
        return examples
    return _Annotated(examples, cached)


def extract(example: Example, parts: Regeneration) -> dict[str, Any]:
    """One example without notes, and with what rules on the host say of it."""
    found = {name: example[name] for name in VALUES if name in example}
    for name, rule in _rules(parts).items():
        if name[0] in example:
            found[name] = rule.extract(example[name[0]], example)
    return found


def as_batch(examples: Iterable[Example], parts: Regeneration) -> Batch:
    """A few examples, annotated, as one batch."""
    return stack([extract(example, parts) for example in examples])


def sources(name: str) -> dict[str, str]:
    """The code of a module and of all modules of this package that it rests on."""
    found, asked = {}, [name]
    package = __name__.partition(".")[0]
    while asked:
        module = importlib.import_module(asked.pop())
        if module.__name__ in found:
            continue
        found[module.__name__] = code = inspect.getsource(module)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith(package):
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                asked += [node.module, *(set(inner) & set(sys.modules))]
    return found


def _rules(parts: Regeneration) -> dict[str, HostFeature]:
    pairs = {"x_prime": parts.source, "y_prime": parts.abstraction}
    return {name: rule for name, rule in pairs.items() if rule.runs_on_host}


@dataclasses.dataclass(frozen=True)
class _Annotated:
    examples: Sequence[Example]
    cached: dict[str, "_Cached"]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.examples[index]
        found = {name: example[name] for name in VALUES if name in example}
        for name, values in self.cached.items():
            found[name] = values.of(index, example)
        return found


class _Cached:
    """What one rule says of every example: on disk, in memory, or when it is asked."""

    def __init__(
        self,
        examples: Sequence[Example],
        rule: HostFeature,
        of: str,
        origin: Origin | None,
    ):
        self.rule, self.name = rule, of
        self.values = None
        if origin is None:
            return
        # The rule's options and its code: another rule must not read these values.
        code = sources(inspect.getmodule(type(rule)).__name__)
        key = hashlib.sha256(
            f"{rule} of {of} in {origin.selection}: {sorted(code.items())}".encode()
        ).hexdigest()[:16]
        path = origin.folder / "annotations" / f"{type(rule).__name__}-{key}.npy"
        # A file that is missing or damaged is made again.
        with contextlib.suppress(OSError, ValueError, EOFError):
            values = np.load(path)
            if len(values) == len(examples):
                self.values = values
                return
        name, number = type(rule).__name__, len(examples)
        logger.info("%s of %s examples, once", name, f"{number:,}")
        read = map(examples.__getitem__, range(number))
        shown = tqdm(read, name, number, disable=None, leave=False)
        self.values = np.stack([rule.extract(e[of], e) for e in shown])
        try:
            path.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                np.save(file, self.values)
            os.replace(file.name, path)
        except OSError as error:
            logger.warning("%s is kept in memory alone: %s", path.name, error)

    def of(self, index: int, example: Example) -> np.ndarray:
        if self.values is not None:
            return self.values[index]
        return self.rule.extract(example[self.name], example)
