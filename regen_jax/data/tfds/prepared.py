"""Data sets that TFDS has prepared: where they lie, and how to get a missing one."""

import os
import re
import shlex
from typing import Any

import tensorflow_datasets as tfds

# `sound_feature` makes TFDS's feature `Audio` readable.
from regen_jax.data.tfds import (
    embedded,
    sound_feature,  # noqa: F401
    splits,
)
from regen_jax.errors import UserError

_NAME = re.compile(r"(?P<path>\w+(/[\w.-]+)?)(:(?P<version>\d+\.\d+\.\d+))?")


def data_root(data_dir: str = "") -> tfds.core.Path:
    """The folder that holds all data sets; TFDS's own default where none is given."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return tfds.core.Path(data_dir or default).expanduser()


def prepare_command(name: str, data_dir: str = "") -> str:
    """The shell command that prepares a data set."""
    where = f" --data_dir={shlex.quote(data_dir)}" if data_dir else ""
    return f"python -m regen_jax.data.prepare {shlex.quote(name)}{where}"


def damaged(name: str, folder: Any, data_dir: str = "") -> UserError:
    """The error of a set whose files cannot be read, with what to do."""
    return UserError(
        f"data set {name!r} is damaged: delete {folder} and run "
        f"`{prepare_command(name, data_dir)}`"
    )


def parse(name: str) -> tuple[str, str | None]:
    """Splits `name[/config][:version]` into the name with its config, and the version.

    Raises:
      UserError: the name cannot be one, or is that of an embedded set in another version
        than its builder's.
    """
    if not (match := _NAME.fullmatch(name)):
        raise UserError(
            f"{name!r} cannot name a data set: write name, name/config or "
            "name/config:1.0.0"
        )
    path, version = match["path"], match["version"]
    if path in embedded.names() and version not in (
        None,
        current := embedded.version(path),
    ):
        raise UserError(
            f"data set {name!r} is of another version than the {current} that is read "
            f"here: write {path!r} instead"
        )
    return path, version


def find(name: str, data_dir: str = "") -> tfds.core.DatasetBuilder | None:
    """Looks for a prepared set `name[/config][:version]`, the newest version if none.

    An embedded set is read in the version of its builder alone, as other versions have
    other splits.
    Only the file system is asked: TFDS itself would try the network for minutes.

    Returns:
      A builder that can only read, or None where the set is not prepared.

    Raises:
      UserError: the name cannot be one, is that of another version of an embedded set,
        a config must be chosen, the description of the set is damaged, or the files are
        not array_record, the one format that is read by index without TensorFlow.
    """
    path, version = parse(name)
    folder = data_root(data_dir) / path
    if path in embedded.names():
        version = embedded.version(path)
    versions = _versions(folder, version)
    if not versions and "/" not in name and folder.is_dir():
        configs = [path for path in folder.iterdir() if _versions(path, version)]
        if len(configs) > 1:
            choices = ", ".join(sorted(f"{name}/{path.name}" for path in configs))
            raise UserError(f"data set {name!r} has several configs: choose {choices}")
        versions = [path for config in configs for path in _versions(config, version)]
    if not versions:
        return None
    try:
        builder = tfds.builder_from_directory(versions[-1])
    except UserError:
        raise
    # What TFDS makes of a damaged description may be any exception.
    except Exception as error:
        raise damaged(name, versions[-1], data_dir) from error
    if tfds.core.FileFormat.ARRAY_RECORD not in builder.info.available_file_formats():
        raise UserError(
            f"{versions[-1]} holds {builder.info.file_format.value} files, not "
            "array_record: move that folder away, then run "
            f"`{prepare_command(name, data_dir)}`"
        )
    return builder


def require(name: str, split: str, data_dir: str = "") -> tfds.core.DatasetBuilder:
    """Like `find`, for a set that must be there and must have the split.

    Raises:
      UserError: as `find` does, and where the set or the split is missing.
    """
    builder = find(name, data_dir)
    if builder is None:
        path, _ = parse(name)
        raise UserError(
            f"data set {name!r} is {_other_versions(path, data_dir) or 'not prepared'} "
            f"in {data_root(data_dir)}: run `{prepare_command(name, data_dir)}`"
        )
    if not splits.exists(builder, split):
        raise UserError(
            f"data set {name!r} has no split {split!r}: choose "
            f"{', '.join(splits.names(builder))}"
        )
    return builder


def _other_versions(path: str, data_dir: str) -> str:
    """Says in which other versions an embedded set is prepared; empty if in none."""
    folders = (
        _versions(data_root(data_dir) / path, None) if path in embedded.names() else []
    )
    if not folders:
        return ""
    names = ", ".join(folder.name for folder in folders)
    return f"prepared in version {names}, not in the {embedded.version(path)} needed,"


def _versions(folder: tfds.core.Path, version: str | None) -> list[tfds.core.Path]:
    """Folders of the prepared versions, oldest first."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name)
        and version in (None, path.name)
        and (path / "features.json").exists()
    ]
    return sorted(found, key=lambda path: tuple(map(int, path.name.split("."))))
