"""Which choices of a config fit together, by their spaces alone."""

import itertools
import os
import re
import runpy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from regen_jax.cli.commands import read_config
from regen_jax.config.build import build
from regen_jax.errors import UserError

ROLES = ("abstraction", "prior", "decoder")
"""Choices whose values are combined; others are as the arguments say."""


class Combination(NamedTuple):
    """A combination of choices.

    Attributes:
      choices: the value of each of `ROLES` that the config offers.
      misfit: why it does not fit, as one line; empty if it fits.
    """

    choices: dict[str, str]
    misfit: str


def combinations(arguments: Sequence[str]) -> Iterator[Combination]:
    """Yields every combination of the abstractions, priors and decoders of a config.

    Nothing is compiled.

    Args:
      arguments: `--config=file.py:…`, whose choices but those of `ROLES` stay, and flags
        of its fields.

    Raises:
      UserError: the config has no such choices, or its defaults cannot be built either.
    """
    (path, arg), others = _split(arguments)
    # What is wrong with all combinations is an error, such as data that are not prepared.
    build(read_config([f"--config={path}:{arg}", *others]), reports=False)
    values = offered(arguments)
    for combined in itertools.product(*values.values()):
        choices = dict(zip(values, combined, strict=True))
        pairs = filter(None, [arg, *(f"{k}={v}" for k, v in choices.items())])
        config = read_config([f"--config={path}:{','.join(pairs)}", *others])
        misfit = ""
        try:
            build(config, reports=False)
        except UserError as error:
            misfit = " ".join(str(error).split())
        yield Combination(choices, misfit)


def offered(arguments: Sequence[str]) -> dict[str, Sequence[str]]:
    """Returns the values of each of `ROLES` that a config offers.

    Raises:
      UserError: the config, which is there, has no such choices.
    """
    (path, _), _ = _split(arguments)
    choices = runpy.run_path(path).get("CHOICES", {})
    values = {role: choices[role] for role in ROLES if role in choices}
    if not values:
        raise UserError(f"--config: {path} has no CHOICES of {', '.join(ROLES)}")
    return values


def print_table(
    values: Mapping[str, Sequence[str]], rows: Iterable[Combination]
) -> None:
    """Prints rows as they come, since each may take seconds, and then how many fit.

    Args:
      values: those of each role, which the columns are as wide as.
      rows: combinations of these.
    """
    widths = {role: max(map(len, (role, *names))) for role, names in values.items()}
    print("  ".join(role.ljust(width) for role, width in widths.items()), flush=True)
    number = fitting = 0
    for choices, misfit in rows:
        cells = [choices[role].ljust(width) for role, width in widths.items()]
        print("  ".join([*cells, misfit or "fits"]), flush=True)
        number, fitting = number + 1, fitting + (not misfit)
    print(f"{fitting} of {number} combinations fit")


def _split(arguments: Sequence[str]) -> tuple[tuple[str, str], list[str]]:
    """Returns path and argument of the config without its roles, and the other flags."""
    path, kept, others = "", [], []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, value = argument.partition("=")
        if not re.fullmatch("--?config", name):
            others.append(argument)
            continue
        path, _, arg = (value if equals else next(remaining, "")).partition(":")
        path = os.path.expanduser(path)
        kept = [pair for pair in arg.split(",") if pair.partition("=")[0] not in ROLES]
    return (path, ",".join(filter(None, kept))), others
