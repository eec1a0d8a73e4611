"""Leaves of a tree by name: decay, groups and sharding go by the names of parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

Tree = Any


def map_named(function: Callable[[str, Any], Any], tree: Tree) -> Tree:
    """Maps `function(name, leaf)` over a tree; names look like `params/layers/kernel`."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(_name(path), leaf), tree
    )


def named_leaves(tree: Tree) -> dict[str, Any]:
    """Returns the leaves of a tree by name, in the order of the tree."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def leaf_types(tree: Tree) -> dict[str, str]:
    """Returns dtype and shape of each array by its name, such as `float32[16, 64]`."""
    return {
        name: f"{leaf.dtype}{list(leaf.shape)}"
        for name, leaf in named_leaves(tree).items()
    }


def first_difference(there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """Returns in words the first array that two `leaf_types` do not share, or None.

    Args:
      there: of what was read.
      here: of what the config needs.
    """
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            return (
                f"{name} is {there.get(name, 'not there')}, and "
                f"{here.get(name, 'not there')} in this config"
            )
    return None


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
