"""Reads sweep files, which are the user's own Python code."""

import runpy
from pathlib import Path

from launch.algebra import Sweep, validate
from launch.search_space import Search
from regen_jax.errors import UserError


def read(path: Path) -> Sweep | Search:
    """Returns what `get_sweep()` or `get_search()` of a sweep file returns.

    Raises:
      UserError: the file is not there or raises, or what it returns is neither.
    """
    if not path.is_file():
        raise UserError(f"--sweep: no such Python file: {path}")
    call = ""
    try:
        module = runpy.run_path(str(path))
        names = [name for name in ("get_sweep", "get_search") if name in module]
        if len(names) != 1:
            raise UserError(
                f"needs get_sweep() or get_search(), but has {'both' if names else 'neither'}"
            )
        call = f"{names[0]}() "
        result = module[names[0]]()
        if names == ["get_sweep"]:
            result = validate(result)
    except UserError as error:
        raise UserError(f"--sweep={path}: {error}") from error
    # It may raise anything.
    except Exception as error:
        raise UserError(f"--sweep={path}: {call}raises {error!r}") from error
    if not result or (names == ["get_search"] and not isinstance(result, Search)):
        expected = "runs" if names == ["get_sweep"] else "a Search"
        raise UserError(f"--sweep={path}: {call}returns {result!r}, not {expected}")
    return result
