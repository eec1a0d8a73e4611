"""Builds abstractions and generators from sections of a config that fit each other."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from regen_jax.config.registry import (
    instantiate,
    option,
    registered_names,
    require_section,
    resolve_class,
)
from regen_jax.errors import UserError
from regen_jax.interfaces import Abstraction, Generator, PartBuilder
from regen_jax.spaces import Space


class Parts(NamedTuple):
    """Y → Y′, X → Y′, and Y′ → Y or None for the abstraction's inverse."""

    abstraction: Abstraction
    prior: Generator
    decoder: Generator | None


def join_arrows(
    config: Mapping[str, Any], where: str, source: Space, y: Space, target_origin: str
) -> Parts:
    """Builds the parts of the sections `abstraction`, `prior` and `decoder`.

    Args:
      config: holds the sections; further ones are left alone.
      where: the name of the config in errors.
      source: what the prior reads.
      y: what is generated in the end.
      target_origin: where y comes from, for errors.

    Raises:
      UserError: one line that names two parts that do not fit, and what would.
    """
    abstraction = make_abstraction(config["abstraction"], f"{where}.abstraction", y)
    y_prime = abstraction.output_space
    named = f"abstraction {config['abstraction']['name']!r}"
    prior = make_generator(config, where, "prior", named, source, y_prime, y)
    try:
        prior.check_abstracted(y)
    except ValueError as error:
        raise UserError(f"{where}.prior: {error}") from error
    name = config["decoder"].get("name", "")
    if name == "inverse":
        if not abstraction.invertible:
            raise UserError(
                f"{where}: decoder 'inverse' needs an inverse, but {named} has none: "
                f"use decoder {_generators_for(y_prime, y)}"
            )
        # Options of other decoders would be ignored in silence.
        instantiate(_Inverse, config["decoder"], f"{where}.decoder")
        return Parts(abstraction, prior, None)
    others = ("inverse",) if abstraction.invertible else ()
    decoder = make_generator(
        config, where, "decoder", target_origin, y_prime, y, y, others
    )
    return Parts(abstraction, prior, decoder)


def make_abstraction(
    section: Mapping[str, Any], where: str, space: Space
) -> Abstraction:
    """Builds the abstraction that a section of a config names."""
    cls = resolve_class(Abstraction, _name(section, where, Abstraction), where)
    return instantiate(cls, section, where, input_space=space)


@dataclasses.dataclass(frozen=True)
class _Inverse:
    """The decoder `inverse` has no options."""


def make_generator(
    config: Mapping[str, Any],
    where: str,
    role: str,
    target_origin: str,
    source: Space,
    target: Space,
    y: Space,
    others: Sequence[str] = (),
) -> Generator:
    """Builds the generator that the section `role` of a config names.

    Args:
      config: holds the section; further ones are left alone.
      where: the name of the config in errors.
      role: name of the section.
      target_origin: what the target comes from, in words.
      source: space of the source.
      target: space of the target.
      y: space that the target abstracts, if the generator is a prior.
      others: names of what would do in place of a generator.

    Raises:
      UserError: the generator does not fit the spaces, or an option is unknown or outside
        its range.
    """
    section, place = config[role], f"{where}.{role}"
    name = _name(section, place, Generator, others)
    cls = resolve_class(Generator, name, place, others)
    if not isinstance(target, cls.targets):
        kinds = " or ".join(kind.__name__ for kind in cls.targets)
        advice = f"use {role} {_generators_for(source, target, others)}"
        if role == "prior":
            advice += f", or abstraction {_abstractions_for(y, cls)}"
        raise UserError(
            f"{where}: {role} {name!r} generates {kinds}, but {target_origin} gives "
            f"{target}: {advice}"
        )
    if not isinstance(source, cls.sources):
        kinds = " or ".join(kind.__name__ for kind in cls.sources)
        raise UserError(
            f"{where}: {role} {name!r} reads {kinds}, but its source is {source}: "
            f"use {role} {_generators_for(source, target, others)}"
        )
    return _instantiate_generator(cls, section, place, source, target)


def _instantiate_generator(
    cls: type[Generator],
    section: Mapping[str, Any],
    where: str,
    source: Space,
    target: Space,
) -> Generator:
    """Instantiates a generator whose kinds of space fit, with the parts nested in it."""
    missing = [name for name in cls.nested if name not in section]
    if missing:
        raise UserError(f"{where} lacks {missing}; it needs {', '.join(cls.nested)}")
    try:
        nested = cls.build_nested(_SectionBuilder(section, where), source, target)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    return instantiate(
        cls, section, where, nested, source_space=source, target_space=target
    )


@dataclasses.dataclass(frozen=True)
class _SectionBuilder(PartBuilder):
    """Builds parts from the sections within a section of a config.

    Attributes:
      section: holds the sections by name.
      where: its path in the config, for errors.
    """

    section: Mapping[str, Any]
    where: str

    def options(self, name: str, cls: type) -> Any:
        return instantiate(cls, self.section.get(name, {}), f"{self.where}.{name}")

    def option(self, cls: type, name: str) -> Any:
        return option(cls, self.section, name, f"{self.where}.{name}")

    def generator(
        self, name: str, source_space: Space, target_space: Space
    ) -> Generator:
        require_section(self.section[name], f"{self.where}.{name}")
        return make_generator(
            self.section,
            self.where,
            name,
            "its target",
            source_space,
            target_space,
            target_space,
        )

    def arrows(self, source_space: Space, target_space: Space) -> dict[str, Any]:
        for name in Parts._fields:
            require_section(self.section[name], f"{self.where}.{name}")
        parts = join_arrows(
            self.section, self.where, source_space, target_space, "its target"
        )
        return parts._asdict()


def _generators_for(source: Space, target: Space, others: Sequence[str] = ()) -> str:
    """Lists `others` and the built-in generators between two spaces, for errors."""
    classes = {
        name: resolve_class(Generator, name, "") for name in registered_names(Generator)
    }
    fitting = [
        name
        for name, cls in classes.items()
        if isinstance(target, cls.targets) and isinstance(source, cls.sources)
    ]
    # Whether a generator with nested parts fits depends on these.
    plain = [name for name in fitting if not classes[name].nested]
    return _either([*others, *(plain or fitting)])


def _abstractions_for(y: Space, generator: type[Generator]) -> str:
    """Lists the built-in abstractions of y that a generator can generate, for errors."""

    def fits(name: str) -> bool:
        try:
            abstraction = resolve_class(Abstraction, name, "")(y)
        except ValueError:
            return False
        return isinstance(abstraction.output_space, generator.targets)

    return _either(name for name in registered_names(Abstraction) if fits(name))


def _either(options: Iterable[str]) -> str:
    return " or ".join(repr(option) for option in options) or "of your own"


def _name(
    section: Mapping[str, Any], where: str, base: type, others: Sequence[str] = ()
) -> str:
    if "name" not in section:
        known = ", ".join([*others, *registered_names(base)])
        raise UserError(f"{where} needs a name: {known}")
    return section["name"]
