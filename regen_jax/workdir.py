"""The folder of a run, and the config that it belongs to."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regen_jax.errors import UserError
from regen_jax.options import plain

CONFIG = "config.json"


def claim(workdir: Path, config: Mapping[str, Any]) -> None:
    """Makes the folder of a new run, or checks that it holds a run of this config.

    Raises:
      UserError: it is a file, cannot be written, or holds a run of another config.
    """
    text = json.dumps(plain(config), indent=2, sort_keys=True)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not (workdir / CONFIG).exists():
            # Renamed when it is whole: a kill in between leaves no half of one.
            (workdir / f"{CONFIG}.new").write_text(text + "\n")
            (workdir / f"{CONFIG}.new").rename(workdir / CONFIG)
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be used: {error}") from error
    differing = list(_differences(read(workdir), json.loads(text), "config"))
    if differing:
        raise UserError(
            f"{workdir} holds a run of another config: {'; '.join(differing)}. "
            "Use another --workdir, or the same config to go on with that run"
        )


def check_same_part(workdir: Path, config: Mapping[str, Any], part: str) -> None:
    """`UserError` where the run in that folder made the part in another way."""
    old, new = read(workdir), plain(config)
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
