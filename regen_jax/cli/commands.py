"""Flags that the three commands share, and their errors as one line."""

import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags

from regen_jax import paths, ranges, runner
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.config.build import SECTIONS
from regen_jax.errors import UserError
from regen_jax.training.inspect.memory import keep_freed_memory
from regen_jax.training.parallel import processes
from regen_jax.training.preemption import Preempted

logger = logging.getLogger("regen_jax")

WORKDIR = flags.DEFINE_string("workdir", None, "folder of the run, such as runs/digits")
# `--help` lists the flags that functions of this module define at their callers; these
# declare this one by `flags.declare_key_flag("workdir")`.
flags.disclaim_key_flags()


def run(main: Callable[[], None]) -> None:
    """Runs a command; an error the user can mend is one line on stderr and exit code 2.

    A stop from the keyboard exits with 130, and SIGTERM with 75 once what was done is
    saved; the same command goes on from there.
    """
    # What Orbax's tasks fail with is raised; of those left behind asyncio would tell it
    # again, with tracebacks.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    keep_freed_memory()
    runner.run(lambda argv: _guarded(main), parse=_parse, end=_end)


def workdir() -> Path:
    """Returns the folder that --workdir names.

    Raises:
      UserError: it names none, or one that cannot hold a run.
    """
    if not WORKDIR.value:
        raise UserError("--workdir is needed: the folder of the run, as in runs/demo")
    return paths.storable(WORKDIR.value, "--workdir")


def define_config(
    flag_values: flags.FlagValues = flags.FLAGS, argv: list[str] | None = None
) -> flags.FlagHolder[ConfigDict]:
    """Defines the flag --config, a file with `get_config`, whose fields are flags too.

    New fields are accepted here, so that any option of a part can be set though the
    file does not list it; `build` raises on those that no part has. A config file in any
    folder can import the package `configs` that lies beside `regen_jax`.
    """
    root = str(Path(__file__).parents[2])
    if root not in sys.path:
        sys.path.append(root)
    return config_flags.DEFINE_config_file(
        "config",
        None,
        "config file, and its choices after a colon, such as "
        "configs/digits.py:abstraction=fsq,size=base",
        flag_values,
        lock_config=False,
        accept_new_attributes=True,
        sys_argv=argv,
    )


def read_config(arguments: Sequence[str]) -> ConfigDict:
    """Returns the config that --config and the flags of its fields give.

    Raises:
      UserError: a flag is wrong, or the config file is not there, raises, or returns no
        `ConfigDict`.
    """
    argv = ["train", *arguments]
    flag_values = flags.FlagValues()
    holder = define_config(flag_values, argv)
    with warnings.catch_warnings():
        # ml_collections loads the file in a way that Python deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        _parse(argv, flag_values)
    if not isinstance(parsed_config(holder), ConfigDict):
        raise UserError("--config: its get_config returns no ConfigDict")
    return holder.value


def define_number(
    name: str, default: float | None, kind: Any, help: str
) -> flags.FlagHolder:
    """Defines a flag for a number whose type gives its range, such as `ranges.Seed`."""
    return flags.DEFINE(
        _NumberParser(kind), name, default, help, serializer=flags.ArgumentSerializer()
    )


class _NumberParser(flags.ArgumentParser):
    """Parses a number; raises `ValueError` for one outside its range."""

    def __init__(self, kind: Any):
        self.kind = kind

    def parse(self, argument: str | float) -> float:
        number = ranges.bare(self.kind)(argument)
        if words := ranges.fault(self.kind, number):
            raise ValueError(words)
        return number

    def flag_type(self) -> str:
        return ranges.bare(self.kind).__name__


def parsed_config(config: flags.FlagHolder[ConfigDict]) -> ConfigDict:
    """Returns the config of --config.

    Raises:
      UserError: it is missing.
    """
    if config.value is None:
        raise UserError("--config is needed, such as --config=configs/digits.py")
    return config.value


def fail(error: object) -> None:
    """Prints an error as one line and ends this process."""
    runner.print_error(error)
    processes.exit_now(2)


def start_processes() -> None:
    """Joins the processes of this run, if there are several; only the first one logs."""
    processes.start(fail)
    if not processes.is_main():
        logger.setLevel(logging.WARNING)


def _end(status: int) -> None:
    # Orbax and grain keep threads that a plain exit would wait for, as it should after a
    # stop from the keyboard; of several processes it would wait for the others too.
    if status != 130 or processes.count() > 1:
        processes.exit_now(status)
    sys.exit(status)


def _guarded(main: Callable[[], None]) -> None:
    # What goes wrong in a save or restore is raised, and logged there; Orbax also logs it,
    # and its tasks and TensorStore's threads print it when they are cleaned up, all with
    # tracebacks.
    sys.excepthook = _only_of_main_thread
    sys.unraisablehook = lambda unraisable: None
    try:
        main()
    except (UserError, OSError):
        raise
    except Preempted:
        logger.info("asked to stop: saved, and the same command goes on from here")
        processes.exit_cleanly(REQUEUE)
    except Exception as error:
        if words := _lack_of_memory(error):
            fail(words)
        if processes.count() == 1:
            raise
        # In the barrier of a plain exit it would wait for the others, and they for it.
        traceback.print_exc()
        processes.exit_now(1)
    if processes.count() > 1:
        processes.exit_cleanly(0)


def _lack_of_memory(error: Exception) -> str:
    """Returns the message for an exception of too little memory; empty for others."""
    reason = " ".join(str(error).split())[:200]
    on_device = isinstance(error, jax.errors.JaxRuntimeError)
    if not isinstance(error, MemoryError) and not (
        on_device and "RESOURCE_EXHAUSTED" in reason
    ):
        return ""
    return (
        f"memory is not enough: {reason or 'MemoryError'}; take a smaller batch_size or "
        "model, or more devices"
    )


def _only_of_main_thread(*exception) -> None:
    if threading.current_thread() is threading.main_thread():
        sys.__excepthook__(*exception)


def _parse(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    argv = [_expanded(arg) for arg in argv]
    for arg in argv:
        path = arg.partition("=")[2].partition(":")[0]
        if re.match("--?config=", arg) and not Path(path).is_file():
            raise UserError(f"--config: no such file: {path}")
    try:
        rest = flag_values(argv)
    except KeyError as error:
        raise UserError(_no_section(argv, error.args[0])) from error
    # A config file is the user's own code: it may raise anything.
    except Exception as error:
        # Of what a config file raises, ml_collections repeats the whole traceback.
        last = str(error).strip().splitlines()[-1:]
        is_flag = last and isinstance(error, flags.Error)
        message = (
            last[0].removeprefix("ValueError: ") if is_flag else f"--config: {error!r}"
        )
        if match := re.match(r"flag (--config\S*?)=(.*?): .* as a ConfigDict", message):
            field, value = match.groups()
            message = (
                f"{field}={value}: this is a section of options: set one of them, as in "
                f"{field}.OPTION=…, or all, as in {field}=\"{{'OPTION': …}}\""
            )
        raise UserError(message) from error
    if len(rest) > 1:
        raise UserError(
            f"unknown argument {rest[1]!r}: options look like --workdir=runs/demo"
        )
    return rest


def _no_section(argv: Sequence[str], reason: str) -> str:
    """Returns the message for a flag of a field within what is no section."""
    quoted = re.match(r"'(\w+)'", reason)
    name = quoted[1] if quoted else reason.rpartition(": ")[2].split(".")[-2]
    path = rf"--?(config\.(?:\w+\.)*?{name})\.(\w+)"
    matches = filter(None, (re.match(path, argument) for argument in argv))
    if (match := next(matches, None)) is None or match[1] == f"config.{name}":
        return f"--config has no section {reason}; it needs {', '.join(SECTIONS)}"
    section, field = match.groups()
    return (
        f"--{section}.{field}: --config has no section '{section}'; where {name} has "
        f"options, write them as one, as in --{section}=\"{{'{field}': …}}\""
    )


def _expanded(argument: str) -> str:
    """Returns the argument, with the `~` of --config=~/…, which shells leave, expanded."""
    name, equals, path = argument.partition("=")
    if re.fullmatch("--?config", name) and path.startswith("~"):
        return f"{name}{equals}{os.path.expanduser(path)}"
    return argument
