"""Packages that only some features need."""

import importlib
from types import ModuleType

from regen_jax.errors import UserError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports a module of an optional package.

    Args:
      module: its full name, such as `matplotlib.figure`.
      extra: the extra of this package that installs it, such as `launch`.
      purpose: what needs it, the subject of the error, such as `a search`.

    Raises:
      UserError: the package is not installed, or a library of the system that it needs
        is not.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise UserError(
            f"{purpose} needs the package {package}: run `pip install -e '.[{extra}]' "
            "-c launch/constraints.txt`"
        ) from error
    except OSError as error:
        raise UserError(f"the package {module} does not work here: {error}") from error
