"""Writes files that other processes may read at any moment, and reads JSON."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regen_jax.errors import UserError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8, so that a kill or a reader never meets half of it.

    Raises:
      OSError: it cannot be written; the former file is unchanged.
    """
    content = content.encode() if isinstance(content, str) else content
    with replaced(path) as partial:
        partial.write_bytes(content)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields the path of a file to write beside `path`, which then replaces that one.

    Where an error is raised, what is written is removed, and the former file unchanged.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.new")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file.

    Raises:
      UserError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} cannot be read: it is not a JSON object")
    return content
