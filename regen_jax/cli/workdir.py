"""The folder of a run, the config that it belongs to, and the lock on it."""

import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, SoftFileLease, Timeout

from regen_jax import paths
from regen_jax.config.registry import require_section, to_plain_dict
from regen_jax.errors import UserError
from regen_jax.files import read_json, write_atomically

CONFIG = "config.json"
METRICS = {"validation": "metrics_validation.json", "test": "metrics.json"}
"""The file of `evaluate` for each split: metrics to choose by, and to publish."""
FORMAT = 3
"""Number of the format of a workdir. It is raised when runs of earlier versions would be
read wrongly; workdirs of format 1 do not contain it."""

MUTABLE = ("parallel", "checkpoint", "log", "profile", "data.dir")
"""Sections and options with which a run may continue changed: its results are the same.

A run that is moved to another machine finds its data elsewhere.
"""

READS = {
    "source": ("source",),
    "abstraction": ("abstraction",),
    "decoder": ("abstraction", "decoder"),
    "prior": ("source", "abstraction", "prior"),
    "finetune": ("source", "abstraction", "decoder", "prior"),
}
"""Sections, beside task and data, that decide what a stage learns; a judge needs none."""

_FILES = {".npz", ".npy", ".png", ".wav", ".mid", ".musicxml", ".md", ".txt", ".json"}
"""Endings of files, which the name of a folder should not have."""

LEASE_SECONDS = 30.0
"""A lock that was not renewed for so long belongs to a process that died."""

logger = logging.getLogger("regen_jax")


@contextlib.contextmanager
def locked(workdir: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Locks the folder of a run; makes it, or checks that its run is of this config.

    Raises:
      UserError: it is a file, cannot be written, holds a run of another config or
        format, or another process trains in it.
    """
    new = json.loads(json.dumps(to_plain_dict(config)))
    try:
        _check(workdir, new)
        workdir.mkdir(parents=True, exist_ok=True)
        lock = _acquire(workdir)
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be used: {error}") from error
    with lock:
        # Once more: another run may have begun since.
        _check(workdir, new)
        _write(workdir / CONFIG, {"format": FORMAT, **new})
        yield


def output_folder(path: str) -> Path:
    """Returns the folder that --out names; `UserError` where it looks like a file."""
    folder = paths.local(path, "--out")
    if folder.suffix.lower() in _FILES and not folder.is_dir():
        raise UserError(
            f"--out={path} looks like a file: give the folder that samples.npz and other "
            "files go to"
        )
    return folder


def check_output(path: Path, directory: bool, flag: str) -> None:
    """Checks that a file or folder can be written, before work is put into it."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    is_what = path.is_dir() == directory if place == path else place.is_dir()
    if not is_what:
        raise UserError(f"{flag}{path} cannot be written: {place} is in the way")
    if not os.access(place, os.W_OK):
        raise UserError(
            f"{flag}{path} cannot be written: this user has no right to write in {place}"
        )


def _check(workdir: Path, config: dict[str, Any]) -> None:
    if not (workdir / CONFIG).exists():
        if stage := next(workdir.glob("*/checkpoints"), None):
            raise UserError(
                f"{stage} is of a run whose {CONFIG} is gone: restore that file, or use "
                "another --workdir"
            )
        return
    differing = list(differences(_identity(read(workdir)), _identity(config), "config"))
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
        write_atomically(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}") from error


def _acquire(workdir: Path) -> AcquireReturnProxy:
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


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what decides the results of a run: all but `MUTABLE`."""
    return _without(config, MUTABLE)


def check_taken_together(sources: Mapping[str, str]) -> None:
    """Checks that no stage is taken while one that it learned from is trained here.

    A prior knows the codes of the abstraction that it was trained with, not those of a
    new one.

    Args:
      sources: by stage of a run, its `init_from`, empty where the run trains it.

    Raises:
      UserError: names both stages and the field to give.
    """
    for stage, source in sources.items():
        for part in READS.get(stage, ()):
            if source and not sources.get(part, source):
                raise UserError(
                    f"config.train.{stage}.init_from takes a {stage} that learned from "
                    f"the {part} of its own run, but this run trains another {part}: "
                    f"give config.train.{part}.init_from too"
                )


def check_source(
    source: Path,
    config: Mapping[str, Any],
    stage: str,
    sampling: Collection[str] = (),
    parametric: bool = True,
) -> None:
    """Checks that the run in a folder has a finished stage that this config would train.

    Args:
      source: the folder.
      config: of the run that takes the stage.
      stage: its name.
      sampling: options of the stage's part that may differ; `section.name` is an option
        of a section within.
      parametric: whether the stage has parameters; one without takes no steps, whatever
        the options of the other run say.

    Raises:
      UserError: the run cannot be read, its task, data or part have other options, or it
        has not trained the stage to the last of its own steps.
    """
    where = f"config.train.{stage}.init_from"
    old, new = _identity(read(source, where)), _identity(to_plain_dict(config))
    differing = []
    for section in ("task", "data", *READS.get(stage, (stage,))):
        pair = [options.get(section) for options in (old, new)]
        if section == stage:
            pair = [_without(options or {}, sampling) for options in pair]
        differing += differences(*pair, f"config.{section}")
    if differing:
        raise UserError(f"{where}: the run in {source} differs: {'; '.join(differing)}")
    there = old.get("train", {}).get(stage, {})
    taken, steps = latest_step(source, stage), there.get("steps", 1)
    if type(steps) is not int:
        raise UserError(
            f"{where}: {source / CONFIG} cannot be read: train.{stage}.steps is {steps!r}, "
            "no int"
        )
    if taken is None:
        raise UserError(f"{where}: {source} has no checkpoint of stage '{stage}'")
    # What that run took itself was finished, whatever its own steps are.
    if parametric and taken < steps and not there.get("init_from"):
        raise UserError(
            f"{where}: stage '{stage}' in {source} has {taken} of {steps} steps: finish "
            f"it with {paths.train_command(source)} and its config"
        )


def _without(options: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Returns options but for those of these names; `section.name` is one within."""
    rest = {}
    for key, value in options.items():
        if key in names:
            continue
        if isinstance(value, Mapping):
            within = {name for name in names if name.startswith(f"{key}.")}
            value = _without(value, {name.removeprefix(f"{key}.") for name in within})
        rest[key] = value
    return rest


def latest_step(workdir: Path, stage: str) -> int | None:
    """Returns the step of a stage's latest checkpoint; None if it has none."""
    try:
        names = os.listdir(workdir / stage / "checkpoints")
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Orbax gives a checkpoint this name when it is whole.
    return max((int(name) for name in names if name.isdecimal()), default=None)


def read(workdir: Path, where: str = "") -> dict[str, Any]:
    """Returns the config of the run in a folder.

    Raises:
      UserError: there is none, its file is damaged, what should be a section is none, or
        its format is another. The error begins with `where`, if that is given.
    """
    path = workdir / CONFIG
    prefix = f"{where}: " if where else ""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{prefix}{workdir} holds no run: train one with "
            f"{paths.train_command(workdir)} --config=configs/digits.py"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{prefix}{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{prefix}{path} cannot be read: it holds no config")
    check_format(content, f"{prefix}{workdir}")
    del content["format"]
    for name, section in content.items():
        if name not in ("seed", "task"):
            require_section(section, f"{prefix}{path}: {name}")
    for name, section in content.get("train", {}).items():
        require_section(section, f"{prefix}{path}: train.{name}")
    return content


def read_metrics(workdir: Path, split: str) -> dict[str, float]:
    """Returns what `evaluate` measured on a split.

    Raises:
      UserError: it cannot be read, or a value is not a finite number.
    """
    path = workdir / METRICS[split]
    metrics = read_json(path)
    for name, value in metrics.items():
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
            raise UserError(
                f"{path} cannot be read: {name} is {str(value)[:40]}, not a finite number"
            )
    return metrics


def check_format(content: Mapping[str, Any], where: str) -> None:
    """Checks that the content of a JSON file has the format of this version."""
    number = content.get("format", 1)
    if number == FORMAT and type(number) is int:
        return
    if type(number) is not int:
        raise UserError(
            f"{where} cannot be read: its format is {number!r}, not a number"
        )
    age, advice = (
        ("an earlier", "train again in another --workdir, or install that version")
        if number < FORMAT
        else ("a later", "install that version, or train again in another --workdir")
    )
    raise UserError(
        f"{where} is of format {number}, which {age} version of regen_jax writes, and "
        f"this one reads {FORMAT}: {advice}"
    )


def differences(old: Any, new: Any, where: str) -> Iterator[str]:
    """Yields what differs between two nested dicts, as text that names the field.

    A section without options is as one that is not there: all are the defaults.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            missing = "nothing"
            pair = old.get(key, missing), new.get(key, missing)
            if not all(value == missing or _is_empty(value) for value in pair):
                yield from differences(*pair, f"{where}.{key}")
    elif old != new:
        yield f"{where} is {old!r} there and {new!r} here"


def _is_empty(section: Any) -> bool:
    return isinstance(section, dict) and all(map(_is_empty, section.values()))
