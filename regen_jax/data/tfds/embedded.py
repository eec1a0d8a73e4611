"""Data sets that this package builds from files shipped in Python packages."""

import functools
import importlib
import inspect
import pkgutil

import tensorflow_datasets as tfds

from regen_jax.data import builders


@functools.cache
def names() -> tuple[str, ...]:
    """Returns the names of the sets, sorted: the folders of `data/builders`."""
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(builders.__path__) if m.ispkg)
    )


@functools.cache
def builder(name: str) -> type[tfds.core.GeneratorBasedBuilder]:
    """Returns the builder class of a set, from its module `builder`, imported only now."""
    module = importlib.import_module(f"{builders.__name__}.{name}.builder")
    (cls,) = (
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, tfds.core.DatasetBuilder)
        and value.__module__ == module.__name__
    )
    return cls


@functools.cache
def version(name: str) -> str:
    """Returns the version that the builder of a set prepares, the only one read."""
    return str(builder(name).VERSION)
