"""The options of all parts as Markdown tables.

`python -m regen_jax.config.options_table configs/README.md` writes them into that file,
from its line `<!-- options -->` to its end.
"""

import dataclasses
import inspect
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regen_jax import ranges
from regen_jax.config.registry import registered_names, resolve_class
from regen_jax.config.sections import CacheOptions, LogOptions
from regen_jax.evaluation.options import EvaluateOptions
from regen_jax.interfaces import Abstraction, Generator, Task
from regen_jax.media.markdown import table
from regen_jax.spaces import Array, Category, Record, Tokens
from regen_jax.training.checkpoint import CheckpointOptions
from regen_jax.training.inspect.profile import ProfileOptions
from regen_jax.training.parallel.options import ParallelOptions
from regen_jax.training.stage import FinetuneOptions, StageOptions

MARK = "<!-- options -->\n"
SECTIONS = {
    "train.<stage>": StageOptions,
    "train.finetune": FinetuneOptions,
    "parallel": ParallelOptions,
    "cache": CacheOptions,
    "checkpoint": CheckpointOptions,
    "log": LogOptions,
    "profile": ProfileOptions,
    "evaluate": EvaluateOptions,
}
KINDS = (Task, Abstraction, Generator)
"""Kinds of parts that a config names; further ones are found in the types of options."""


@dataclasses.dataclass(frozen=True)
class Option:
    """A row of a table.

    Attributes:
      name: of the option, with that of the section it is in.
      value_type: of its values.
      range: of its values, in words.
      default: as Python writes it.
      meaning: from the docstring of its class; empty where that has none.
      kind: the class of parts that it names one of, or None.
    """

    name: str
    value_type: str
    range: str
    default: str
    meaning: str
    kind: type | None


def options(cls: type, where: str = "") -> Iterator[Option]:
    """Yields the options of a dataclass, and those of the sections in it.

    Spaces are no options: they come from the other parts of a config.
    """
    kinds = typing.get_type_hints(cls, include_extras=True)
    meanings = _meanings(cls)
    for field in dataclasses.fields(cls):
        kind = ranges.unsized(ranges.required(kinds[field.name]))
        element = _element(kind)
        if _is_space(kind):
            continue
        name = f"{where}{field.name}"
        many = "[i]" if element is not kind else ""
        if (
            inspect.isclass(element)
            and dataclasses.is_dataclass(element)
            and not hasattr(element, "registry")
        ):
            yield from options(element, f"{name}{many}.")
            continue
        yield Option(
            name,
            _type_name(kind),
            ranges.describe(kind),
            _default(field),
            meanings.get(field.name, ""),
            element if hasattr(element, "registry") else None,
        )


def parts() -> dict[type, dict[str, type]]:
    """Returns the classes of each kind of part, by their name in a config."""
    classes: dict[type, dict[str, type]] = {}
    waiting: list[type] = [*KINDS]
    named = [option.kind for cls in SECTIONS.values() for option in options(cls)]
    waiting += filter(None, named)
    while waiting:
        kind = waiting.pop(0)
        if kind in classes:
            continue
        names = registered_names(kind)
        classes[kind] = {name: resolve_class(kind, name, "") for name in names}
        for cls in classes[kind].values():
            waiting += [option.kind for option in options(cls) if option.kind]
    return classes


def markdown() -> str:
    """Returns the tables of all sections and parts."""
    blocks = ["### Sections that belong to no part"]
    for name, cls in SECTIONS.items():
        blocks += [f"#### `config.{name}`", _table(cls)]
    for kind, classes in parts().items():
        blocks += [f"### {kind.__name__}", _summary(kind)]
        for name, cls in classes.items():
            blocks += [f"#### `{name}`", _summary(cls), _table(cls)]
    return "\n\n".join(blocks) + "\n"


def _table(cls: type) -> str:
    rows = [
        (f"`{o.name}`", o.value_type, o.range, o.default, o.meaning)
        for o in options(cls)
    ]
    if not rows:
        return "It has no options."
    titles = ("option", "type", "range", "default", "meaning")
    return table(dict(zip(titles, zip(*rows, strict=True), strict=True)))


def _summary(cls: type) -> str:
    """Returns the first sentence of a class's docstring."""
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


def _meanings(cls: type) -> dict[str, str]:
    """Returns what the docstrings of a class and its bases say of its attributes."""
    meanings = {}
    for base in reversed(cls.__mro__):
        doc = inspect.cleandoc(vars(base).get("__doc__") or "")
        name = None
        for line in doc.partition("\nAttributes:\n")[2].splitlines():
            if line and not line.startswith("  "):
                break
            if line.startswith("    ") and name:
                meanings[name] += f" {line.strip()}"
            elif ":" in line:
                name, _, meaning = line.strip().partition(": ")
                meanings[name] = meaning
    return meanings


def _element(kind: Any) -> Any:
    """Returns the type of a tuple's elements, and other types as they are."""
    inner = typing.get_args(kind)
    return inner[0] if typing.get_origin(kind) is tuple and inner else kind


def _is_space(kind: Any) -> bool:
    members = typing.get_args(kind) or (kind,)
    spaces = (Category, Tokens, Array, Record)
    return all(inspect.isclass(m) and issubclass(m, spaces) for m in members)


def _type_name(kind: Any) -> str:
    """Returns a type in words; a kind of part links to its tables."""
    if typing.get_origin(kind) is tuple:
        inner = [part for part in typing.get_args(kind) if part is not ...]
        names = [_type_name(part) for part in inner]
        if typing.get_args(kind)[-1] is ...:
            return f"tuple of {names[0]}"
        return f"({', '.join(names)})"
    if hasattr(kind, "registry"):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return ranges.bare(kind).__name__


def _default(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return _written(field.default_factory())
    if field.default is dataclasses.MISSING:
        return "required"
    return _written(field.default)


def _written(value: Any) -> str:
    """Returns a value as a config writes it, a part by its name."""
    if isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        return ", ".join(map(_written, value))
    if hasattr(value, "registry"):
        return f"`{type(value).__module__.rpartition('.')[2]}`"
    return f"`{value!r}`"


def main(path: str) -> None:
    """Writes the tables into a file."""
    file = Path(path)
    text = file.read_text().partition(MARK)[0]
    file.write_text(f"{text}{MARK}\n{markdown()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "configs/README.md")
