"""What the launchers share: flags, and errors as one line. Imports nothing of JAX."""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags
from absl import logging as absl_logging

from regen_jax import paths
from regen_jax.errors import UserError, line


def run(main: Callable[[list[str]], int | None]) -> None:
    """Runs a launcher on what stands after `--`; exits with what it returns, or 0.

    An error the user can mend is one line on stderr and exit code 2; a stop from the
    keyboard exits with 130.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("launch")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    absl_logging.set_verbosity(absl_logging.FATAL)
    try:
        app.run(lambda rest: _guarded(main, rest), flags_parser=_parse)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


def workdir_of(arguments: Sequence[str]) -> Path:
    """The --workdir among flags of `regen_jax.train`; `UserError` for none or a bad one."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.lstrip("-").partition("=")
        if name == "workdir" and argument.startswith("-") and (value or not equals):
            return paths.storable(value or following, "--workdir")
    raise UserError("--workdir is needed: the folder of the run, as in runs/demo")


def _guarded(main: Callable[[list[str]], int | None], rest: list[str]) -> int | None:
    try:
        return main(rest)
    except (UserError, OSError) as error:
        return _fail(error)


def _parse(argv: list[str]) -> list[str]:
    """What stands after `--`; the flags before it are read."""
    end = argv.index("--") if "--" in argv else len(argv)
    try:
        unknown = flags.FLAGS(argv[:end])[1:]
    except flags.UnrecognizedFlagError as error:
        told = str(error).splitlines()[-1]
        sys.exit(_fail(f"{told} (flags of the run itself come after --)"))
    except flags.Error as error:
        sys.exit(_fail(str(error).splitlines()[-1]))
    if unknown:
        sys.exit(_fail(f"unknown argument {unknown[0]!r}: the command comes after --"))
    return argv[end + 1 :]


def _fail(error: object) -> int:
    print("error:", line(error), file=sys.stderr, flush=True)
    return 2
