"""Weights of trained networks from files, and whether they fit a network."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.serialization import msgpack_restore
from flax.traverse_util import flatten_dict, unflatten_dict

from regen_jax import paths
from regen_jax.errors import UserError, reason

Tree = Mapping[str, Any]

_NUM_EXAMPLES = 3


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
        _check_names(leaves)
        return unflatten_dict(leaves, sep="/")
    # Damage shows as almost any exception: of zipfile, zlib, msgpack or NumPy.
    except Exception as error:
        raise UserError(f"{where}={path} cannot be read: {reason(error)}") from error


def select_weights(expected: Tree, weights: Tree, origin: str) -> Tree:
    """Returns those of the weights that a network has.

    Args:
      expected: parameters of the network, or their shapes.
      weights: parameters or their shapes; further ones are ignored.
      origin: what errors call the weights.

    Raises:
      UserError: names the first that is missing, has another shape, or holds values that
        are not finite real numbers of the network's dtype.
    """
    leaves = flatten_dict(weights, sep="/")
    selected = {}
    for name, leaf in flatten_dict(expected, sep="/").items():
        if name not in leaves:
            raise UserError(
                f"{origin} has no {name}, of shape {leaf.shape}: there are "
                f"{_examples(leaves)}"
            )
        if leaves[name].shape != leaf.shape:
            raise UserError(
                f"{origin} has {name} of shape {leaves[name].shape}, but the network "
                f"needs {leaf.shape}: check the options of the network"
            )
        selected[name] = leaves[name]
        if not isinstance(selected[name], jax.ShapeDtypeStruct):
            selected[name] = _finite(selected[name], leaf.dtype, f"{origin} has {name}")
    return unflatten_dict(selected, sep="/")


def _finite(value: np.ndarray | jax.Array, dtype: Any, named: str) -> np.ndarray:
    """Returns an array of real numbers in a dtype, where all are finite."""
    if not any(
        jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer)
    ):
        raise UserError(f"{named} of type {value.dtype}, but real numbers are needed")
    with np.errstate(over="ignore"):
        array = np.asarray(value, dtype)
    if number := np.sum(~np.isfinite(array)):
        raise UserError(
            f"{named} with {number} of {array.size} values that are NaN, infinite or "
            f"beyond {array.dtype}"
        )
    return array


def _check_names(leaves: Mapping[str, np.ndarray]) -> None:
    """Raises a ValueError where a name is both of an array and of others' parent."""
    for name in leaves:
        parts = name.split("/")
        for end in range(1, len(parts)):
            if (parent := "/".join(parts[:end])) in leaves:
                raise ValueError(f"it holds both {parent} and {name}")


def _examples(names: Mapping[str, Any]) -> str:
    """Returns the names, or of many their number and the first."""
    if len(names) <= _NUM_EXAMPLES:
        return ", ".join(names) or "none"
    first = ", ".join(itertools.islice(names, _NUM_EXAMPLES))
    return f"{len(names)}, such as {first}"


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    stored = np.load(file, allow_pickle=False)
    if not isinstance(stored, np.lib.npyio.NpzFile):
        raise ValueError("it holds one array, which has no name")
    with stored:
        return {
            name.removeprefix("params/"): np.asarray(stored[name])
            for name in stored.files
        }


def _read_msgpack(file: Path) -> dict[str, np.ndarray]:
    tree = msgpack_restore(file.read_bytes())
    params = tree.get("params", tree) if isinstance(tree, dict) else None
    if not isinstance(params, dict):
        raise ValueError("it holds no parameters by name")
    leaves = flatten_dict(params)
    if unnamed := [part for path in leaves for part in path if type(part) is not str]:
        raise ValueError(f"it has a name that is no text: {unnamed[0]!r}")
    return {"/".join(path): np.asarray(leaf) for path, leaf in leaves.items()}
