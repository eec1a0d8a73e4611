"""Weights of trained networks from files, and whether they fit a network."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.serialization import msgpack_restore
from flax.traverse_util import flatten_dict, unflatten_dict

from regen_jax import paths
from regen_jax.errors import UserError

Tree = Mapping[str, Any]


def read_weights(path: str, where: str) -> Tree:
    """Returns the nested parameters in a file.

    Args:
      path: a `.npz` whose arrays are named `layer/kernel`, or a `.msgpack` as
        `flax.serialization` writes it. Both may have all names under `params`.
      where: what errors call the option.

    Raises:
      UserError: it cannot be read.
    """
    file = paths.local(path, where)
    readers = {".npz": _read_npz, ".msgpack": _read_msgpack}
    if file.suffix not in readers:
        raise UserError(f"{where}={path} must be a file {' or '.join(readers)}")
    try:
        leaves = readers[file.suffix](file)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{where}={path} cannot be read: {error}") from error
    return unflatten_dict(leaves, sep="/")


def select_weights(expected: Tree, weights: Tree, origin: str) -> Tree:
    """Returns those of the weights that a network has.

    Args:
      expected: parameters of the network, or their shapes.
      weights: parameters or their shapes; further ones are ignored.
      origin: what errors call the weights.

    Raises:
      UserError: names the first that is missing or has another shape.
    """
    leaves = flatten_dict(weights, sep="/")
    selected = {}
    for name, leaf in flatten_dict(expected, sep="/").items():
        if name not in leaves:
            raise UserError(
                f"{origin} has no {name}, of shape {leaf.shape}: there are "
                f"{', '.join(leaves) or 'none'}"
            )
        if leaves[name].shape != leaf.shape:
            raise UserError(
                f"{origin} has {name} of shape {leaves[name].shape}, but the network "
                f"needs {leaf.shape}: check the options of the network"
            )
        selected[name] = leaves[name]
        if not isinstance(selected[name], jax.ShapeDtypeStruct):
            selected[name] = np.asarray(selected[name], leaf.dtype)
    return unflatten_dict(selected, sep="/")


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as stored:
        return {name.removeprefix("params/"): stored[name] for name in stored.files}


def _read_msgpack(file: Path) -> dict[str, np.ndarray]:
    tree = msgpack_restore(file.read_bytes())
    if not isinstance(tree, dict):
        raise ValueError("it holds no parameters by name")
    leaves = flatten_dict(tree.get("params", tree), sep="/")
    return {name: np.asarray(leaf) for name, leaf in leaves.items()}
