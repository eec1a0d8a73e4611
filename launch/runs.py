"""Runs and sweeps on disk: which are finished, their metrics, what a sweep remembers."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regen_jax.cli import workdir
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError
from regen_jax.files import write_atomically

MEMORY = "sweep.json"
LOG = "log"


def finished(folder: Path, split: str) -> bool:
    """Returns whether the run in a folder was trained, and evaluated on a split."""
    return (folder / METRICS[split]).is_file()


def has_trained(folder: Path, stage: str, steps: int) -> bool:
    """Returns whether the run in a folder has the last checkpoint of a stage."""
    return (folder / stage / "checkpoints" / str(steps)).is_dir()


def metrics(folder: Path, split: str) -> dict[str, float]:
    """Returns the metrics of a finished run; `UserError` if they cannot be read."""
    path = folder / METRICS[split]
    values = read(path)
    for name, value in values.items():
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
            raise UserError(
                f"{path} cannot be read: {name} is {str(value)[:40]}, not a finite number"
            )
    return values


def last_line(folder: Path) -> str:
    """Returns the last line that is not empty in the log of a run."""
    with contextlib.suppress(OSError):
        lines = (folder / LOG).read_text(errors="replace").splitlines()
        for line in reversed(lines):
            # Progress bars write over their own line.
            if text := line.rpartition("\r")[2].strip():
                return text
    return "it wrote nothing"


@contextlib.contextmanager
def locked(folder: Path, memory: Mapping[str, Any]) -> Iterator[None]:
    """Keeps a folder for one sweep, and for one process at a time.

    Args:
      folder: the folder, which is made if it is not there.
      memory: tells sweeps apart; the first time it is written to `sweep.json`.

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
    memory = read(path)
    workdir.check_format(memory, str(folder))
    del memory["format"]
    runs = memory.get("runs", {})
    if not (isinstance(runs, dict) and all(isinstance(r, dict) for r in runs.values())):
        raise UserError(f"{path} cannot be read: its runs are not sections")
    return memory


def read(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file; `UserError` if it cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} cannot be read: it is not a JSON object")
    return content
