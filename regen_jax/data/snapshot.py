"""What a run keeps of its data set in its own folder, so that it samples without it."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import numpy as np

from regen_jax.data.pipeline import Batch
from regen_jax.errors import UserError
from regen_jax.files import write_atomically
from regen_jax.spaces import Padded

_LENGTH = "_length"


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The facts and prompts of a data set that sampling needs.

    Attributes:
      facts: JSON values by name that determine the spaces of a task and how samples are
        shown, such as label names, the shape of images or a vocabulary.
      prompts: a batch of the first examples of the test split's core list, with host
        features: arrays or `Padded` by name.
    """

    facts: dict[str, Any]
    prompts: Batch

    def first(self, number: int) -> Batch:
        """Returns the first prompts, all of them if there are fewer than `number`."""
        return jax.tree.map(lambda values: values[:number], self.prompts)

    def write(self, path: Path) -> None:
        """Writes the snapshot to one file; `OSError` if it cannot be written."""
        content = io.BytesIO()
        np.savez(content, facts=json.dumps(self.facts), **flatten(self.prompts))
        write_atomically(path, content.getvalue())

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """Reads a snapshot.

        Raises:
          UserError: the file is missing or damaged.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes())) as file:
                arrays = dict(file)
            facts = json.loads(str(arrays.pop("facts")))
        except FileNotFoundError as error:
            raise UserError(
                f"{path} is missing: the run was not trained to its end, or by another "
                "version"
            ) from error
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UserError(f"{path} cannot be read: {error}") from error
        return cls(facts, unflatten(arrays))


def flatten(batch: Batch) -> dict[str, np.ndarray]:
    """Returns arrays by name; a `Padded` x becomes the arrays `x` and `x_length`.

    Args:
      batch: arrays or `Padded` by name, without names that end in `_length`.
    """
    arrays = {}
    for name, value in batch.items():
        if isinstance(value, Padded):
            arrays |= {name: value.values, name + _LENGTH: value.length}
        else:
            arrays[name] = value
    return jax.tree.map(np.asarray, arrays)


def unflatten(arrays: dict[str, np.ndarray]) -> Batch:
    """Returns the batch of arrays that `flatten` returned."""
    return {
        name: Padded(value, arrays[name + _LENGTH])
        if name + _LENGTH in arrays
        else value
        for name, value in arrays.items()
        if not name.endswith(_LENGTH)
    }
