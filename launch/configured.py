"""From overrides to the flags of a run, and to its config, checked as `train` would."""

import dataclasses
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.algebra import Overrides, Value
from regen_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Configured:
    """A run whose config was built.

    Attributes:
      name: its folder's.
      overrides: what the sweep changes.
      flags: of `regen_jax.train`, all but the workdir.
      config: as JSON holds it.
      stages: what it trains, in order, and in how many steps.
    """

    name: str
    overrides: Overrides
    flags: tuple[str, ...]
    config: Mapping[str, Any]
    stages: Mapping[str, int]


def flags_of(config: str, overrides: Overrides, extra: Sequence[str]) -> list[str]:
    """Flags of `regen_jax.train` for one run.

    Args:
      config: a config file, and its argument after a colon.
      overrides: fields, and choices that are merged into the argument.
      extra: flags such as `--config.data.dir=…` that every run gets.

    Raises:
      UserError: one of `extra` is no field, or the sweep sets it too.
    """
    path, _, argument = config.partition(":")
    choices = {f[1:]: v for f, v in overrides.items() if f.startswith(":")}
    if choices:
        given = (pair.partition("=") for pair in argument.split(",") if pair)
        choices = {key: value for key, _, value in given} | choices
        argument = ",".join(f"{key}={value}" for key, value in choices.items())
    for flag in extra:
        found = re.fullmatch(r"--?config\.([\w.]+)=.*", flag, re.DOTALL)
        if not found:
            raise UserError(
                f"after -- come fields such as --config.data.dir=/data, not {flag!r}"
            )
        if found[1] in overrides:
            raise UserError(f"config.{found[1]} is set after -- and by the sweep")
    return [
        f"--config={path}:{argument}" if argument else f"--config={path}",
        *extra,
        *(field_flag(f, v) for f, v in overrides.items() if not f.startswith(":")),
    ]


def field_flag(field: str, value: Value) -> str:
    """The flag that sets a field of the config."""
    return f"--config.{field}={value if isinstance(value, str) else repr(value)}"


def configure(
    name: str, overrides: Overrides, flags: Sequence[str], data: bool = True
) -> Configured:
    """A run whose config is read and built as `train` does; compiles nothing.

    `data` also looks whether its data are prepared on this machine.

    Raises:
      UserError: one line that names the run and what is wrong with its config.
    """
    # Only looks at shapes: an accelerator is left to the runs.
    before = os.environ.get("JAX_PLATFORMS")
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        from regen_jax.config.build import build
        from regen_jax.config.registry import to_plain_dict

        config = to_plain_dict(_read(flags))
        _check_taken(config, overrides, to_plain_dict)
        run = build(config)
        if data:
            run.task.examples("train")
    except UserError as error:
        raise UserError(f"run {name}: {error}") from error
    finally:
        # Children get the environment as it was.
        os.environ.pop("JAX_PLATFORMS")
        if before is not None:
            os.environ["JAX_PLATFORMS"] = before
    stages = {name: options.steps for name, options in run.train.items()}
    return Configured(name, dict(overrides), tuple(flags), config, stages)


def _read(arguments: Sequence[str]) -> Any:
    """The config that these flags give, read by the parser that `train` uses."""
    from absl import flags
    from ml_collections import config_flags

    path = arguments[0].removeprefix("--config=").partition(":")[0]
    if not Path(path).is_file():
        raise UserError(f"--config: no such file: {path}")
    values = flags.FlagValues()
    arguments = ["train", *arguments]
    holder = config_flags.DEFINE_config_file(
        "config",
        flag_values=values,
        lock_config=False,
        accept_new_attributes=True,
        sys_argv=arguments,
    )
    try:
        with warnings.catch_warnings():
            # ml_collections loads the file in a way that Python deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            values(arguments)
    except KeyError as error:
        raise UserError(f"unknown field: {error.args[0]}") from error
    # A config file is the user's own code: it may raise anything.
    except Exception as error:
        last = str(error).strip().splitlines()[-1:] or [repr(error)]
        raise UserError(
            last[0].removeprefix("ValueError: ")
            if isinstance(error, flags.Error | ValueError)
            else f"--config: {error!r}"
        ) from error
    if not hasattr(holder.value, "to_dict"):
        raise UserError(f"--config: get_config of {path} returns no ConfigDict")
    return holder.value


def _check_taken(
    config: Mapping[str, Any], overrides: Overrides, to_plain_dict
) -> None:
    """That a field's text on the command line is read as the value it was."""
    for field, value in overrides.items():
        if field.startswith(":"):
            continue
        found = config
        for part in field.split("."):
            found = found[part]
        wanted = to_plain_dict({"": value})[""]
        if found != wanted:
            raise UserError(
                f"config.{field}={value!r} would be read as {found!r}: give a value of "
                "its type"
            )
