"""Runs commands: logs, flags, errors as one line, exit codes. Imports nothing of JAX."""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from absl import app, flags
from absl import logging as absl_logging

from regen_jax.errors import UserError, line


def run(
    main: Callable[[list[str]], int | None],
    *,
    trailing: str = "",
    parse: Callable[[list[str]], list[str]] | None = None,
    end: Callable[[int], Any] = sys.exit,
) -> None:
    """Runs the main function of a command and exits with what it returns, or 0.

    An error that the user can mend is one line on stderr and exit code 2; a stop from
    the keyboard exits with 130.

    Args:
      main: takes the arguments that `parse` returns.
      trailing: what may follow `--`, such as `flags of regen_jax.train`.
      parse: parses the command line; by default `parse_flags`.
      end: exits with a code after an error or a stop.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    # Only these speak at this level; libraries are kept to warnings.
    for name in ("regen_jax", "launch"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    absl_logging.set_verbosity(absl_logging.FATAL)
    try:
        app.run(main, flags_parser=parse or partial(parse_flags, trailing=trailing))
    except (UserError, OSError) as error:
        print_error(error)
        end(2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        end(130)


def parse_flags(argv: list[str], trailing: str = "") -> list[str]:
    """Parses the flags before `--` and returns the arguments after it.

    Raises:
      UserError: a flag is unknown or has a wrong value, an argument is no flag, or
        something follows `--` though `trailing` is empty.
    """
    stop = argv.index("--") if trailing and "--" in argv else len(argv)
    try:
        unknown = flags.FLAGS(argv[:stop])[1:]
    except flags.Error as error:
        message = str(error).splitlines()[-1]
        if trailing and isinstance(error, flags.UnrecognizedFlagError):
            message += f" ({trailing} come after --)"
        raise UserError(message) from error
    if unknown:
        raise UserError(
            f"unknown argument {unknown[0]!r}: options look like --workdir=runs/demo"
            + (f"; {trailing} come after --" if trailing else "")
        )
    return argv[stop + 1 :]


def print_error(error: object) -> None:
    """Prints an error as one line on stderr."""
    print("error:", line(error), file=sys.stderr, flush=True)
