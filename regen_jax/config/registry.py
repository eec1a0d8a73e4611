"""From names and sections of a config to classes and their options."""

import dataclasses
import functools
import importlib
import inspect
import json
import pkgutil
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from regen_jax import ranges
from regen_jax.errors import UserError, described


def to_plain_dict(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config as JSON holds it: nested dicts, and lists for tuples."""
    if not isinstance(config, Mapping) and not hasattr(config, "to_dict"):
        raise UserError(
            "config must be its sections, such as what get_config of a config file "
            f"returns, not {config!r}"
        )
    to_dict = getattr(config, "to_dict", lambda: config)
    try:
        return json.loads(json.dumps(to_dict()))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"config holds a value that is no number, text, list or section: {error}"
        ) from error


def registered_names(base: type) -> list[str]:
    """Returns the short names of `base` in a config, sorted.

    They are names of modules in its `registry`, at any depth, that define a subclass.
    """
    return sorted(_classes(base))


def resolve_class(base: type, name: str, where: str, others: Sequence[str] = ()) -> Any:
    """Returns the class of a name.

    Args:
      base: class that it derives from; `base.registry` is the package of its parts.
      name: of a module of `base.registry`, or `package.module:Class`.
      where: path of the section in the config, for errors.
      others: further names that the caller accepts, for errors.

    Raises:
      UserError: there is no such module or class, or it is not a dataclass that
        derives from `base` and defines its abstract methods.
    """
    if isinstance(name, str) and ":" in name:
        path, _, class_name = name.partition(":")
        try:
            module = importlib.import_module(path)
        except (ImportError, TypeError, ValueError) as error:
            raise UserError(f"{where}: cannot import {path!r}: {error}") from error
        # The user's own code, which may raise anything.
        except Exception as error:
            raise UserError(
                f"{where}: cannot import {path!r}: {described(error)}"
            ) from error
        cls: Any = getattr(module, class_name, None)
        if cls is None:
            raise UserError(f"{where}: {path} has no {class_name!r}")
        if not (inspect.isclass(cls) and issubclass(cls, base)):
            raise UserError(f"{where}: {name} is not a subclass of {base.__name__}")
        if inspect.isabstract(cls):
            lacking = sorted(getattr(cls, "__abstractmethods__", ()))
            raise UserError(f"{where}: {name} does not define {', '.join(lacking)}")
        if not _is_dataclass(cls):
            raise UserError(
                f"{where}: {name} is not a dataclass: put "
                "@dataclasses.dataclass(frozen=True) before it"
            )
        return cls
    classes = _classes(base)
    if not isinstance(name, str) or name not in classes:
        kind = re.sub(r"(?<!^)(?=[A-Z])", " ", base.__name__).lower()
        raise UserError(
            f"{where}: no {kind} is called {name!r}; known are "
            f"{', '.join([*others, *sorted(classes)])}, or 'package.module:Class' for "
            "your own"
        )
    return classes[name]


def instantiate(
    cls: type,
    section: Mapping[str, Any],
    where: str,
    nested: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Any:
    """Makes an instance of a dataclass from a section of a config.

    A `name` in the section, which chose the class, is left out unless `cls` has such a
    field. A section within the section is made an object of its field's class.

    Args:
      cls: the class.
      section: its options.
      where: path of the section in the config, for errors.
      nested: options that are built already; their sections are not read.
      **fields: fields that are no options.

    Raises:
      UserError: an option is unknown or missing, or its value has the wrong type or is
        outside its range.
    """
    require_section(section, where)
    types = typing.get_type_hints(cls, include_extras=True)
    known = [f.name for f in dataclasses.fields(cls) if f.name not in fields]
    values = dict(nested or {})
    for key, value in section.items():
        if key == "name" and key not in known:
            continue
        if key not in known:
            raise UserError(
                f"{where}.{key} is not an option of {cls.__name__}; known are "
                f"{', '.join(known) or 'none'}"
            )
        if key in values:
            continue
        if value == "None" and types[key] is str:
            # So a flag's `None` arrives, which the user did not mean as a name.
            raise UserError(
                f"{where}.{key} must be of type str, and None is none: write "
                f"--{where}.{key}= for an empty text"
            )
        values[key] = _value(types[key], value, f"{where}.{key}")
    missing = [
        f.name
        for f in dataclasses.fields(cls)
        if f.name in known
        and f.name not in values
        and f.default is f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{where} needs {', '.join(missing)}, of {cls.__name__}")
    try:
        return cls(**fields, **values)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    except Exception as error:
        if cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
            raise
        raise UserError(f"{where}: {cls.__name__}: {described(error)}") from error


def option(cls: type, section: Mapping[str, Any], name: str, where: str) -> Any:
    """Returns one option of a dataclass from a section, by default that of its field.

    Args:
      cls: the class.
      section: its options.
      name: of the option.
      where: path of the option in the config, for errors.

    Raises:
      UserError: its value has the wrong type or is outside its range.
    """
    if name not in section:
        return getattr(cls, name)
    types = typing.get_type_hints(cls, include_extras=True)
    return _value(types[name], section[name], where)


def require_section(value: Any, where: str) -> None:
    """Raises a UserError where `value` is not a section of a config."""
    if not isinstance(value, Mapping):
        raise UserError(f"{where} must be a section of options, not {value!r}")


@functools.cache
def _classes(base: Any) -> dict[str, type]:
    """Returns the classes in `base.registry` by the name of their module.

    Raises:
      ImportError: two modules of one name define one, a module defines two, or one is no
        dataclass.
    """
    package = importlib.import_module(base.registry)
    classes: dict[str, type] = {}
    for module in pkgutil.walk_packages(package.__path__, f"{base.registry}."):
        name = module.name.rpartition(".")[2]
        cls = None if module.ispkg else _class_in(module.name, base)
        if cls is None:
            continue
        if name in classes:
            raise ImportError(
                f"{module.name} and {classes[name].__module__} share the name {name!r}"
            )
        classes[name] = cls
    return classes


def _class_in(path: str, base: type) -> type | None:
    """Returns the subclass of `base` that a module defines, if it defines one.

    Raises:
      ImportError: it defines two, or one that is no dataclass.
    """
    found = [
        value
        for value in vars(importlib.import_module(path)).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and value.__module__ == path
    ]
    if len(found) > 1:
        names = ", ".join(cls.__name__ for cls in found)
        raise ImportError(f"{path} defines {names}: give each a module of its own")
    for cls in found:
        if not _is_dataclass(cls):
            raise ImportError(f"{path}: {cls.__name__} is not a dataclass")
    return found[0] if found else None


def _is_dataclass(cls: type) -> bool:
    """Returns whether a class itself is one: else its fields would be no options."""
    return "__dataclass_fields__" in vars(cls)


def _value(kind: Any, value: Any, where: str) -> Any:
    """Returns `value` as a field of type `kind` holds it."""
    if value is None and ranges.required(kind) is not kind:
        return None
    kind = ranges.unsized(ranges.required(kind))
    if hasattr(kind, "registry"):
        if not isinstance(value, Mapping) or "name" not in value:
            raise UserError(
                f"{where} needs a name: {', '.join(registered_names(kind))}"
            )
        return instantiate(resolve_class(kind, value["name"], where), value, where)
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
        return instantiate(kind, value, where)
    bare = ranges.bare(kind)
    if type(value) is bare or (bare is float and type(value) is int):
        if words := ranges.fault(kind, value):
            raise UserError(f"{where} {words}")
        return bare(value)
    if typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(kind)
        kinds = inner[:1] * len(value) if inner[-1:] == (...,) else inner
        if len(kinds) == len(value):
            return tuple(
                _value(k, v, f"{where}[{i}]")
                for i, (k, v) in enumerate(zip(kinds, value, strict=True))
            )
    if typing.get_origin(kind) is typing.Literal:
        choices = ranges.either(typing.get_args(kind))
        raise UserError(f"{where} must be {choices}, not {value!r}")
    raise UserError(f"{where} must be {_in_words(bare)}, not {value!r}")


def _in_words(kind: Any) -> str:
    """Returns what a value of a type is, such as `of type int` or `a list of sections`."""
    inner = [part for part in typing.get_args(kind) if part is not ...]
    if typing.get_origin(kind) is tuple and any(map(dataclasses.is_dataclass, inner)):
        return f"a list of sections, with the options of {inner[0].__name__}"
    return f"of type {kind.__name__ if inspect.isclass(kind) else kind}"
