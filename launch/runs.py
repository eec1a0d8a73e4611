"""Runs and sweeps on disk: which are finished, and what a sweep remembers."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regen_jax.cli import workdir
from regen_jax.errors import UserError
from regen_jax.files import read_json, write_atomically

MEMORY = "sweep.json"
LOG = "log"


def finished(folder: Path, split: str) -> bool:
    """Returns whether the run in a folder was trained, and evaluated on a split."""
    return (folder / workdir.METRICS[split]).is_file()


def has_trained(folder: Path, stage: str, steps: int) -> bool:
    """Returns whether the run in a folder has the last checkpoint of a stage."""
    return (folder / stage / "checkpoints" / str(steps)).is_dir()


def last_line(folder: Path) -> str:
    """Returns the last line that is not empty in the log of a run."""
    with contextlib.suppress(OSError):
        lines = (folder / LOG).read_text(errors="replace").splitlines()
        # Progress bars write over their own line.
        texts = [line.rpartition("\r")[2].strip() for line in lines]
        return next(filter(None, reversed(texts)), "it wrote nothing")
    return "it has no log"


@contextlib.contextmanager
def locked(folder: Path, memory: Mapping[str, Any]) -> Iterator[None]:
    """Keeps a folder for one sweep, which `memory` identifies, and for one process.

    The memory is written to `sweep.json` the first time.

    Raises:
      UserError: the folder holds another sweep, is in use, or cannot be written.
    """
    check_same(folder, memory)
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(folder / "sweep.lock", timeout=0))
            check_same(folder, memory)
            if not (folder / MEMORY).exists():
                text = json.dumps({"format": workdir.FORMAT, **memory}, indent=2)
                write_atomically(folder / MEMORY, text + "\n")
        except Timeout:
            raise UserError(
                f"--workdir={folder}: this sweep is already running; wait for it, or "
                "stop it"
            ) from None
        except OSError as error:
            raise UserError(f"--workdir={folder} cannot be used: {error}") from error
        yield


def check_same(folder: Path, memory: Mapping[str, Any]) -> None:
    """Raises `UserError` if a folder remembers another sweep, and says what differs."""
    there, here = remembered(folder), json.loads(json.dumps(memory))
    if there is None or there == here:
        return
    differences = list(workdir.differences(there, here, "sweep"))
    if len(differences) > 3:
        differences[3:] = [f"{len(differences) - 3} more"]
    raise UserError(
        f"--workdir={folder} holds another sweep: {'; '.join(differences)}. Use another "
        "folder, or the same sweep to go on with that one"
    )


def remembered(folder: Path) -> dict[str, Any] | None:
    """Returns the content of `sweep.json` in a folder, or None if there is none.

    Raises:
      UserError: it is damaged or of another format.
    """
    path = folder / MEMORY
    if not path.exists():
        return None
    memory = read_json(path)
    workdir.check_format(memory, str(folder))
    del memory["format"]
    runs = memory.get("runs", {})
    if not (isinstance(runs, dict) and all(isinstance(r, dict) for r in runs.values())):
        raise UserError(f"{path} cannot be read: its runs are not sections")
    return memory
