"""Finds the classes that build data sets: those of this package, and those of users.

A set of this package is *embedded*: it is built from files that ordinary Python
packages ship, by the module `builder` of a folder of `regen_jax/data/builders` that is
named after it. Nothing else lists the sets. A user names a builder as
`package.module:Class`.
"""

import importlib
import inspect
import pkgutil
import re

import tensorflow_datasets as tfds

from regen_jax.data import builders
from regen_jax.errors import UserError

_CLASS = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")


def names() -> tuple[str, ...]:
    """Lists the embedded sets, sorted: the folders of `regen_jax/data/builders`."""
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(builders.__path__) if m.ispkg)
    )


def builder_class(name: str) -> type[tfds.core.DatasetBuilder] | None:
    """Imports the class that builds a set.

    Args:
      name: of an embedded set, or `package.module:Class`.

    Returns:
      The class, or None if the name is that of neither.

    Raises:
      UserError: the module cannot be imported, or the class is no builder of TFDS.
    """
    if name in names():
        module = importlib.import_module(f"{builders.__name__}.{name}.builder")
        (cls,) = (
            value
            for value in vars(module).values()
            if _is_builder(value) and value.__module__ == module.__name__
        )
        return cls
    if not (match := _CLASS.fullmatch(name)):
        return None
    try:
        cls = getattr(importlib.import_module(match["module"]), match["name"], None)
    except (ImportError, TypeError, ValueError) as error:
        raise UserError(
            f"data set {name!r}: cannot import {match['module']!r}: {error}"
        ) from error
    if not _is_builder(cls) or inspect.isabstract(cls):
        raise UserError(
            f"data set {name!r}: {match['name']} is not a class that derives from "
            "tfds.core.GeneratorBasedBuilder"
        )
    return cls


def _is_builder(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, tfds.core.DatasetBuilder)
