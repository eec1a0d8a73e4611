"""From overrides to the flags of a run, and to its config, checked as `train` would."""

import dataclasses
import functools
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

from launch.algebra import Overrides, Value
from regen_jax.config.registry import to_plain_dict
from regen_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Configured:
    """A run whose config was built: its flags but the workdir, and its stages' steps."""

    name: str
    overrides: Overrides
    flags: tuple[str, ...]
    config: Mapping[str, Any]
    stages: Mapping[str, int]


def flags_of(config: str, overrides: Overrides, extra: Sequence[str]) -> list[str]:
    """Returns flags of `regen_jax.train` for one run.

    Choices among the overrides are merged into the argument of `config` after its colon.

    Raises:
      UserError: an extra flag is no field, or the sweep sets it too.
    """
    path, _, argument = config.partition(":")
    if any(field.startswith(":") for field in overrides):
        pairs = (pair.partition("=") for pair in argument.split(",") if pair)
        choices = {key: value for key, _, value in pairs}
        choices |= {f[1:]: v for f, v in overrides.items() if f.startswith(":")}
        argument = ",".join(f"{key}={value}" for key, value in choices.items())
    for flag in extra:
        field = re.fullmatch(r"--?config\.([\w.]+)=.*", flag, re.DOTALL)
        if not field:
            raise UserError(
                f"after -- come fields such as --config.data.dir=/data, not {flag!r}"
            )
        if field[1] in overrides:
            raise UserError(f"config.{field[1]} is set after -- and by the sweep")
    return [
        f"--config={path}:{argument}" if argument else f"--config={path}",
        *extra,
        *(field_flag(f, v) for f, v in overrides.items() if not f.startswith(":")),
    ]


def field_flag(field: str, value: Value) -> str:
    """Returns the flag that sets a field of the config."""
    return f"--config.{field}={value if isinstance(value, str) else repr(value)}"


def configure(
    name: str, overrides: Overrides, flags: Sequence[str], data: bool = True
) -> Configured:
    """Reads and builds the config of a run as `train` does; compiles nothing.

    With `data`, the data have to be prepared on this machine.

    Raises:
      UserError: one line that names the run and what is wrong with its config.
    """
    import jax

    from regen_jax.cli import commands
    from regen_jax.config.build import build

    # Only shapes are computed: accelerators are left to the runs.
    jax.config.update("jax_platforms", "cpu")
    try:
        config = to_plain_dict(commands.read_config(flags))
        _check_values(config, to_plain_dict(overrides))
        run = build(config)
        if data:
            run.task.examples("train")
    except UserError as error:
        raise UserError(f"run {name}: {error}") from error
    stages = {stage: options.steps for stage, options in run.train.items()}
    return Configured(name, dict(overrides), tuple(flags), config, stages)


def _check_values(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Checks that the text of each field on the command line is read as its value."""
    for field, value in overrides.items():
        if field.startswith(":"):
            continue
        parsed = functools.reduce(operator.getitem, field.split("."), config)
        if parsed != value:
            raise UserError(
                f"config.{field}={value!r} would be read as {parsed!r}: give a value of "
                "its type"
            )
