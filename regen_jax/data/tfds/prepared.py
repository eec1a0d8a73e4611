"""Finds the data sets that TFDS has prepared, and says how to prepare a missing one."""

import os
import re
import shlex
from typing import Any, NamedTuple

import tensorflow_datasets as tfds

# `sound_feature` and `video_feature` make TFDS's features `Audio` and `Video` readable.
from regen_jax.data.tfds import (
    embedded,
    sound_feature,  # noqa: F401
    splits,
    video_feature,  # noqa: F401
)
from regen_jax.errors import UserError

_NAME = re.compile(r"(?P<path>\w+(/[\w.-]+)?)(:(?P<version>\d+\.\d+\.\d+))?")


class SetName(NamedTuple):
    """What the name of a data set stands for.

    Attributes:
      path: its folder below the data folder, such as `imagenet_resized/32x32`.
      version: the only version that is read; None reads the newest.
      builder: the class that builds it; None for a set of TFDS.
    """

    path: str
    version: str | None
    builder: type[tfds.core.DatasetBuilder] | None


def data_root(data_dir: str = "") -> tfds.core.Path:
    """Returns the folder that holds all data sets: TFDS's default if none is given."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return tfds.core.Path(data_dir or default).expanduser()


def prepare_command(name: str, data_dir: str = "") -> str:
    """Returns the shell command that prepares a data set."""
    flag = f" --data_dir={shlex.quote(data_dir)}" if data_dir else ""
    return f"python -m regen_jax.data.prepare {shlex.quote(name)}{flag}"


def damaged(name: str, folder: Any, data_dir: str = "") -> UserError:
    """Returns the error for a set whose files cannot be read, with the remedy."""
    return UserError(
        f"data set {name!r} is damaged: delete {folder} and run "
        f"`{prepare_command(name, data_dir)}`"
    )


def parse(name: str) -> SetName:
    """Parses `name[/config][:version]`, or `package.module:Class` for a user's builder.

    A set that has a builder class is read in the version of that class alone, as other
    versions may have other splits.

    Raises:
      UserError: the name is malformed, the class cannot be imported, or it asks for
        another version of an embedded set than that of its builder.
    """
    match = _NAME.fullmatch(name)
    path = match["path"] if match else name
    builder = embedded.builder_class(path)
    if builder is None:
        if not match:
            raise UserError(
                f"{name!r} cannot name a data set: write name, name/config, "
                "name/config:1.0.0, or package.module:Class for a builder of your own"
            )
        return SetName(path, match["version"], None)
    current = str(builder.VERSION)
    if match and match["version"] not in (None, current):
        raise UserError(
            f"data set {name!r} is of another version than the {current} that is read "
            f"here: write {path!r} instead"
        )
    return SetName(builder.name, current, builder)


def find(name: str, data_dir: str = "") -> tfds.core.DatasetBuilder | None:
    """Looks for a prepared set, in the newest version if the name says none.

    Looks at the file system only: TFDS itself would try the network for minutes.

    Args:
      name: see `parse`.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Returns:
      A builder that can only read, or None if the set is not prepared.

    Raises:
      UserError: as `parse`; one of several configs must be chosen; the description of
        the set is damaged; or the files are not array_record, the one format that is
        read by index without TensorFlow.
    """
    path, version, _ = parse(name)
    folder = data_root(data_dir) / path
    versions = _versions(folder, version)
    if not versions and "/" not in path and folder.is_dir():
        configs = [path for path in folder.iterdir() if _versions(path, version)]
        if len(configs) > 1:
            choices = ", ".join(sorted(f"{path}/{config.name}" for config in configs))
            raise UserError(f"data set {name!r} has several configs: choose {choices}")
        versions = [path for config in configs for path in _versions(config, version)]
    if not versions:
        return None
    try:
        builder = tfds.builder_from_directory(versions[-1])
    except UserError:
        raise
    # TFDS may raise any exception for a damaged description.
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
    """Finds a prepared set that has a split.

    Args:
      name: see `parse`.
      split: see `regen_jax.data.tfds.splits.exists`.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Returns:
      A builder that can only read.

    Raises:
      UserError: as `find`, or the set or the split is missing.
    """
    builder = find(name, data_dir)
    if builder is None:
        raise UserError(
            f"data set {name!r} is {_other_versions(name, data_dir) or 'not prepared'} "
            f"in {data_root(data_dir)}: run `{prepare_command(name, data_dir)}`"
        )
    if not splits.exists(builder, split):
        raise UserError(
            f"data set {name!r} has no split {split!r}: choose "
            f"{', '.join(splits.names(builder))}"
        )
    return builder


def _other_versions(name: str, data_dir: str) -> str:
    """Describes the other prepared versions of a set that has a builder class."""
    path, version, builder = parse(name)
    folders = _versions(data_root(data_dir) / path, None) if builder else []
    if not folders:
        return ""
    names = ", ".join(folder.name for folder in folders)
    return f"prepared in version {names}, not in the {version} needed,"


def _versions(folder: tfds.core.Path, version: str | None) -> list[tfds.core.Path]:
    """Lists the folders of all prepared versions, or of one; oldest first."""
    if not folder.is_dir():
        return []
    folders = [
        path
        for path in folder.iterdir()
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name)
        and version in (None, path.name)
        and (path / "features.json").exists()
    ]
    return sorted(folders, key=lambda path: tuple(map(int, path.name.split("."))))
