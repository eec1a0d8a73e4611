"""Runs and sweeps on disk: what is finished, what is remembered, what was told last."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.extras import optional
from regen_jax.errors import UserError
from regen_jax.workdir import METRICS

MEMORY = "sweep.json"
LOG = "log"


def finished(folder: Path, split: str) -> bool:
    """Whether the run in that folder was trained, and evaluated on that split."""
    return (folder / METRICS[split]).is_file()


def has_trained(folder: Path, stage: str, steps: int) -> bool:
    """Whether the run in that folder has the last checkpoint of a stage."""
    return (folder / stage / "checkpoints" / str(steps)).is_dir()


def metrics(folder: Path, split: str) -> dict[str, float]:
    """The metrics of a finished run on a split; `UserError` where they cannot be read."""
    return read(folder / METRICS[split])


def config(folder: Path) -> dict[str, Any]:
    """The config of a run; `UserError` where it cannot be read."""
    return read(folder / "config.json")


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
def claimed(workdir: Path, memory: Mapping[str, Any]) -> Iterator[None]:
    """Keeps a folder for one sweep, and for one process at a time.

    `memory` tells sweeps apart; it is written to `sweep.json` at the first time.

    Raises:
      UserError: it holds another sweep, is in use, or cannot be written.
    """
    with optional():
        from filelock import FileLock, Timeout

    memory = json.loads(json.dumps(memory))
    check_same(workdir, memory)
    with contextlib.ExitStack() as held:
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(workdir / "sweep.lock", timeout=0))
            check_same(workdir, memory)
            path = workdir / MEMORY
            if not path.exists():
                # Renamed when it is whole: a kill in between leaves no half of one.
                new = path.with_suffix(".new")
                new.write_text(json.dumps(memory, indent=2) + "\n")
                new.rename(path)
        except Timeout:
            raise UserError(
                f"--workdir={workdir}: this sweep is already running; wait for it, or "
                "stop it"
            ) from None
        except OSError as error:
            raise UserError(f"--workdir={workdir} cannot be used: {error}") from error
        yield


def check_same(workdir: Path, memory: Mapping[str, Any]) -> None:
    """`UserError` where the folder remembers another sweep, naming what differs."""
    found = remembered(workdir)
    if found is None or found == json.loads(json.dumps(memory)):
        return
    told = []
    for key in sorted(found.keys() | memory.keys()):
        there, here = found.get(key), memory.get(key)
        if isinstance(there, dict) and isinstance(here, dict):
            names = [
                f"{key} {name} is {words}"
                for name in [*there, *(here.keys() - there.keys())]
                for words in _difference(there.get(name), here.get(name))
            ]
            told += names[:3] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
        else:
            told += [f"{key} is {words}" for words in _difference(there, here)]
    raise UserError(
        f"--workdir={workdir} holds another sweep: {'; '.join(told)}. Use another "
        "folder, or the same sweep to go on with that one"
    )


def remembered(workdir: Path) -> dict[str, Any] | None:
    """What `sweep.json` in a folder says, or None where there is none."""
    path = workdir / MEMORY
    return read(path) if path.exists() else None


def read(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file; `UserError` where it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _difference(there: Any, here: Any) -> list[str]:
    if there == here:
        return []
    there, here = (
        "not there" if value is None else json.dumps(value) for value in (there, here)
    )
    return [f"{there} in the folder and {here} now"]
