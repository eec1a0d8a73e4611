"""Stores what a run needs to sample without its data set."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from regen_jax import files
from regen_jax.cli.load_run import blank_batch
from regen_jax.config.build import Run
from regen_jax.data.host_features import as_batch
from regen_jax.errors import UserError, reason
from regen_jax.interfaces import Example
from regen_jax.spaces import Padded

INFO = "task.json"
PROMPTS = "prompts.npz"
MAX_PROMPTS = 100
MAX_BYTES = 16 * 2**20

_LENGTH = "_length"


def write(run: Run, directory: Path) -> None:
    """Writes `Task.info` and the first prompts of the test split into a workdir.

    Prompts are x alone, or x′ of a rule that runs on the host: at most `MAX_PROMPTS` of
    them, and as many as fit into `MAX_BYTES`.

    Raises:
      UserError: the workdir has another info: the data set changed since.
    """
    info = json.loads(json.dumps(run.task.info, allow_nan=False))
    if (directory / INFO).exists():
        if read_info(directory) != info:
            raise UserError(
                f"{directory / INFO} differs from the data set, which was prepared again "
                "since this run began: use another --workdir"
            )
    else:
        text = json.dumps(info, ensure_ascii=False) + "\n"
        files.write_atomically(directory / INFO, text)
    if (directory / PROMPTS).exists():
        return
    examples = run.task.prompts(MAX_PROMPTS, "test")
    if not examples:
        return
    batch = run.regeneration.prompt(as_batch(examples, run.regeneration))
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(batch))
    num_prompts = max(1, len(examples) * MAX_BYTES // max(size, MAX_BYTES))
    batch = jax.tree.map(lambda leaf: leaf[:num_prompts], batch)
    new = directory / f"new_{PROMPTS}"
    np.savez_compressed(new, **flat(batch))
    new.rename(directory / PROMPTS)


def read_info(directory: Path) -> dict[str, Any] | None:
    """Returns what `write` kept of `Task.info`; None where there is none.

    Raises:
      UserError: it is damaged.
    """
    path = directory / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(info, dict):
        raise UserError(f"{path} cannot be read: it holds no object")
    return info


def read_prompts(run: Run, directory: Path, number: int) -> Example:
    """Returns a batch of at most `number` prompts that `write` kept.

    Raises:
      UserError: there are none, or they are damaged.
    """
    path = directory / PROMPTS
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name][:number] for name in stored.files}
        prompts = _joined(arrays)
        _check_prompts(
            prompts, run.regeneration.prompt(blank_batch(run.task, run.regeneration))
        )
    # Damage shows as almost any exception: of zipfile, zlib or NumPy.
    except Exception as error:
        raise UserError(f"{path} cannot be read: {reason(error)}") from error
    return prompts


def _joined(arrays: Mapping[str, np.ndarray]) -> Example:
    """Returns what `flat` split."""
    values: dict[str, Any] = {}
    for name, array in arrays.items():
        if name.endswith(_LENGTH):
            continue
        *record, field = name.split("/")
        value = array
        if name + _LENGTH in arrays:
            value = Padded(array, arrays[name + _LENGTH])
        parent = values.setdefault(record[0], {}) if record else values
        parent[field] = value
    return values


def _check_prompts(prompts: Example, blank: Example) -> None:
    """Raises a ValueError where a batch has not the names and shapes of `blank`."""
    if jax.tree.structure(prompts) != jax.tree.structure(blank):
        names = [", ".join(flat(batch)) or "none" for batch in (prompts, blank)]
        raise ValueError(f"it holds {names[0]}, and the run reads {names[1]}")
    shapes = [{n: a.shape[1:] for n, a in flat(b).items()} for b in (prompts, blank)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"its shapes are {shapes[0]}, and the run reads {shapes[1]}")
    arrays = flat(prompts).values()
    if any(array.dtype.kind not in "biuf" for array in arrays):
        raise ValueError("it holds values that are no numbers")
    if len({len(array) for array in arrays}) != 1 or not len(next(iter(arrays))):
        raise ValueError("its arrays are not of the same prompts, one or more")


def flat(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Splits each padded value into two arrays, such as `y` and `y_length`.

    The field `speech` of a record `x` becomes `x/speech`.
    """
    result = {}
    for name, value in arrays.items():
        if isinstance(value, Mapping):
            result |= flat({f"{name}/{field}": part for field, part in value.items()})
        elif isinstance(value, Padded):
            result |= {name: value.values, f"{name}{_LENGTH}": value.length}
        else:
            result[name] = value
    return result
