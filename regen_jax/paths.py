"""Paths in flags and config fields: expands `~` and rejects unusable ones."""

import errno
import os
import re
import shlex
import unicodedata
from pathlib import Path

from regen_jax.errors import UserError

_PATTERNS = "*?[]\\"
"""Orbax and TensorStore read these as patterns or escapes: they would save in a folder,
and look for it in others."""


def local(value: str | Path, where: str) -> Path:
    """Returns the absolute path of a file or folder that a flag or field names.

    Args:
      value: the path, which may begin with `~`.
      where: what errors call it by, such as `--out`.

    Raises:
      UserError: it is empty or no path, it is a URL, its home folder is unknown, it is too
        long, its links lead in a circle, or it has control characters.
    """
    if not value or not isinstance(value, str | os.PathLike):
        raise UserError(f"{where} must be the path of a folder or file, not {value!r}")
    try:
        path = Path(value).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{where}={value}: there is no such home folder") from error
    # Path makes one slash of two. Only gs:/ misleads the storage layer within a path.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", f"{value}/") or "/gs:/" in f"{path}/":
        raise UserError(
            f"{where}={value} is a URL, but runs, data and samples lie in folders of this "
            "machine: give the path of one, such as a mounted bucket"
        )
    bad = [c for c in str(path) if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    if bad:
        raise UserError(
            f"{where}={str(path)!r} has {bad[0]!r}, which is not a printable character: "
            "rename that folder, or use another"
        )
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise UserError(
                f"{where}={_shortened(path)} cannot be used: {error.strerror}: use another "
                "folder"
            ) from error
    return path


def storable(value: str | Path, where: str) -> Path:
    """Returns the absolute path of a folder with checkpoints, as `local`.

    Raises:
      UserError: as `local`, and for characters that the storage layer does not take
        literally.
    """
    path = local(value, where)
    bad = [c for c in _PATTERNS if c in str(path)]
    if bad:
        raise UserError(
            f"{where}={path} has {' '.join(bad)}, which the storage of checkpoints reads "
            "as a pattern: use a folder without any of * ? [ ] \\"
        )
    return path


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:60]} … {text[-60:]}"


def train_command(workdir: Path) -> str:
    """Returns the shell command that trains in a folder, without --config."""
    return f"python -m regen_jax.train --workdir={shlex.quote(str(workdir))}"
