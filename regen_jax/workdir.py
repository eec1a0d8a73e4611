"""The folder of a run, the config that it belongs to, and the lock on it."""

import contextlib
import json
import logging
import os
import socket
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, SoftFileLease, Timeout

from regen_jax.errors import UserError
from regen_jax.options import plain

CONFIG = "config.json"
METRICS = {"validation": "metrics_validation.json", "test": "metrics.json"}
"""By split, what `evaluate` writes: metrics to choose by, and those to publish."""
FREE = ("parallel", "checkpoint", "log", "profile")
"""Sections that a run may go on with changed: they decide nothing about its results."""

_FILES = {".npz", ".npy", ".png", ".wav", ".mid", ".musicxml", ".md", ".txt", ".json"}
"""Endings of files that are written to a folder, which no folder is meant to have."""

LEASE_SECONDS = 30.0
"""A lock that was not renewed for so long belongs to a process that died."""

logger = logging.getLogger("regen_jax")


@contextlib.contextmanager
def claimed(workdir: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Holds the folder of a run; makes it, or checks that its run is of this config.

    Raises:
      UserError: it is a file, cannot be written, holds a run of another config, or
        another process trains in it.
    """
    new = json.loads(json.dumps(plain(config)))
    _check(workdir, new)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = _locked(workdir)
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be used: {error}") from error
    with lock:
        # Once more: another run may have begun since.
        _check(workdir, new)
        _write(workdir / CONFIG, new)
        yield


def output_folder(path: str) -> Path:
    """Returns the folder that --out names; `UserError` where it looks like a file."""
    folder = Path(path).expanduser()
    if folder.suffix.lower() in _FILES and not folder.is_dir():
        raise UserError(
            f"--out={path} looks like a file: give the folder that samples.npz and other "
            "files go to"
        )
    return folder


def check_output(path: Path, directory: bool, flag: str) -> None:
    """`UserError` where a file or folder cannot come to be, before work is put into it."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    is_what = path.is_dir() == directory if place == path else place.is_dir()
    if not (is_what and os.access(place, os.W_OK)):
        raise UserError(f"{flag}{path} cannot be written: {place} is in the way")


def _check(workdir: Path, config: dict[str, Any]) -> None:
    if not (workdir / CONFIG).exists():
        return
    differing = list(_differences(_bound(read(workdir)), _bound(config), "config"))
    if differing:
        raise UserError(
            f"{workdir} holds a run of another config: {'; '.join(differing)}. "
            "Use another --workdir, or the same config to go on with that run"
        )


def _write(path: Path, config: dict[str, Any]) -> None:
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    try:
        if path.exists() and path.read_text() == text:
            return
        # Renamed when it is whole: a kill in between leaves no half of one.
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}") from error


def _locked(workdir: Path) -> AcquireReturnProxy:
    lock = SoftFileLease(workdir / "lock", lease_duration=LEASE_SECONDS)
    try:
        # The lock of a process of this machine that is gone is taken over at once.
        return lock.acquire(timeout=0)
    except Timeout:
        holder = lock.owner
        if holder is None or holder.hostname != socket.gethostname():
            logger.info(
                "%s is in use from another machine: waiting up to %.0f s to see whether "
                "that run is alive",
                *(workdir, LEASE_SECONDS),
            )
            with contextlib.suppress(Timeout):
                return lock.acquire(timeout=1.3 * LEASE_SECONDS)
        who = f"process {holder.pid} on {holder.hostname}" if holder else "another"
        raise UserError(
            f"{workdir} is in use by {who}: wait until it ends, or use another --workdir"
        ) from None


def _bound(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in FREE}


def check_same_part(
    workdir: Path, config: Mapping[str, Any], part: str, free: Collection[str] = ()
) -> None:
    """`UserError` where the run in that folder made the part in another way.

    Options of the part whose names are `free` do not count.
    """
    old, new = read(workdir), plain(config)
    for options in (old, new):
        chosen = options.get(part, {})
        options[part] = {k: v for k, v in chosen.items() if k not in free}
    for section in ("task", "data", part):
        where = f"config.{section}"
        differing = list(_differences(old.get(section), new.get(section), where))
        if differing:
            raise UserError(
                f"config.train.{part}.init_from: the run in {workdir} differs: "
                f"{'; '.join(differing)}"
            )


def read(workdir: Path) -> dict[str, Any]:
    """The config of the run in that folder; `UserError` where there is none."""
    path = workdir / CONFIG
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{workdir} holds no run: train one with python -m regen_jax.train "
            f"--config=configs/digits.py --workdir={workdir}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _differences(old: Any, new: Any, where: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            missing = "nothing"
            yield from _differences(
                old.get(key, missing), new.get(key, missing), f"{where}.{key}"
            )
    elif old != new:
        yield f"{where} is {old!r} there and {new!r} here"
