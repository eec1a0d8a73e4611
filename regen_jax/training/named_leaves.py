"""Leaves of a tree by name: decay, groups and sharding go by the names of parameters."""

from collections.abc import Callable
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


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
