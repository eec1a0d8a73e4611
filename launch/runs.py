"""Runs and sweeps on disk: what is finished, what is remembered, what was told last."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.extras import optional
from regen_jax.cli import workdir
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError

MEMORY = "sweep.json"
LOG = "log"


def finished(folder: Path, split: str) -> bool:
    """Returns whether the run in a folder was trained, and evaluated on a split."""
    return (folder / METRICS[split]).is_file()


def has_trained(folder: Path, stage: str, steps: int) -> bool:
    """Whether the run in that folder has the last checkpoint of a stage."""
    return (folder / stage / "checkpoints" / str(steps)).is_dir()


def metrics(folder: Path, split: str) -> dict[str, float]:
    """The metrics of a finished run on a split; `UserError` where they cannot be read."""
    path = folder / METRICS[split]
    values = read(path)
    for name, value in values.items():
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
            raise UserError(
                f"{path} cannot be read: {name} is {str(value)[:40]}, not a finite number"
            )
    return values


def config(folder: Path) -> dict[str, Any]:
    """The config of a run; `UserError` where it or its format cannot be read."""
    return workdir.read(folder)


def last_line(folder: Path) -> str:
    """The last line that is not empty in the log of a run."""
    with contextlib.suppress(OSError):
        lines = (folder / LOG).read_text(errors="replace").splitlines()
        for line in reversed(lines):
            # Progress bars write over their own line.
            if text := line.rpartition("\r")[2].strip():
                return text
    return "it left no word"


@contextlib.contextmanager
def claimed(folder: Path, memory: Mapping[str, Any]) -> Iterator[None]:
    """Keeps a folder for one sweep, and for one process at a time.

    `memory` tells sweeps apart; it is written to `sweep.json` at the first time.

    Raises:
      UserError: it holds another sweep, is in use, or cannot be written.
    """
    with optional():
        from filelock import FileLock, Timeout

    check_same(folder, memory)
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(folder / "sweep.lock", timeout=0))
            check_same(folder, memory)
            path = folder / MEMORY
            if not path.exists():
                # Renamed when it is whole: a kill in between leaves no half of one.
                new = path.with_suffix(".new")
                text = json.dumps({"format": workdir.FORMAT, **memory}, indent=2)
                new.write_text(text + "\n")
                new.rename(path)
        except Timeout:
            raise UserError(
                f"--workdir={folder}: this sweep is already running; wait for it, or "
                "stop it"
            ) from None
        except OSError as error:
            raise UserError(f"--workdir={folder} cannot be used: {error}") from error
        yield


def check_same(folder: Path, memory: Mapping[str, Any]) -> None:
    """`UserError` where the folder remembers another sweep, naming what differs."""
    found, memory = remembered(folder), json.loads(json.dumps(memory))
    if found is None or found == memory:
        return
    differences = []
    for key in sorted(found.keys() | memory.keys()):
        there, here = found.get(key), memory.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            names = [
                f"{key} {name} is {words}"
                for name in [*there, *(here.keys() - there.keys())]
                for words in _difference(there.get(name), here.get(name))
            ]
            differences += names[:3] + (
                [f"{len(names) - 3} more"] if len(names) > 3 else []
            )
        else:
            differences += [f"{key} is {words}" for words in _difference(there, here)]
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
    found = read(path)
    workdir.check_format(found, str(folder))
    del found["format"]
    runs = found.get("runs", {})
    if not (isinstance(runs, dict) and all(isinstance(r, dict) for r in runs.values())):
        raise UserError(f"{path} cannot be read: its runs are not sections")
    return found


def read(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file; `UserError` where it cannot be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} cannot be read: it is not a JSON object")
    return found


def _difference(there: Any, here: Any) -> list[str]:
    if there == here:
        return []
    there, here = (
        "not there" if value is None else json.dumps(value) for value in (there, here)
    )
    return [f"{there} in the folder and {here} now"]
