"""Reading a sweep file: the user's own Python."""

import importlib.util
from pathlib import Path
from types import ModuleType

from launch.algebra import Search, Sweep, checked
from regen_jax.errors import UserError


def read(path: Path) -> Sweep | Search:
    """What a sweep file asks for; `UserError` where it makes no sense."""
    module = _load(path)
    found = [name for name in ("get_sweep", "get_search") if hasattr(module, name)]
    if len(found) != 1:
        has = "both" if found else "neither"
        raise UserError(
            f"--sweep={path} needs get_sweep() or get_search(), but has {has}"
        )
    try:
        asked = getattr(module, found[0])()
        if found == ["get_sweep"]:
            asked = checked(asked)
    except UserError as error:
        raise UserError(f"--sweep={path}: {error}") from error
    # A sweep file is the user's own code: it may raise anything.
    except Exception as error:
        raise UserError(f"--sweep={path}: {found[0]}() raises {error!r}") from error
    if not asked or (found == ["get_search"] and not isinstance(asked, Search)):
        wanted = "runs" if found == ["get_sweep"] else "a Search"
        raise UserError(f"--sweep={path}: {found[0]}() gives {asked!r}, not {wanted}")
    return asked


def _load(path: Path) -> ModuleType:
    """The module in a sweep file; `UserError` where it is not there or raises."""
    spec = importlib.util.spec_from_file_location("sweep_file", path)
    if spec is None or not path.is_file():
        raise UserError(f"--sweep: no such Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError as error:
        raise UserError(f"--sweep={path}: {error}") from error
    # A sweep file is the user's own code: it may raise anything.
    except Exception as error:
        raise UserError(f"--sweep={path}: {error!r}") from error
    return module
