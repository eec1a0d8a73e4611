"""Prepares data sets as array_record files, which are read by index."""

import contextlib
import difflib
import io
import logging
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from regen_jax.data.tfds import embedded, prepared
from regen_jax.errors import UserError


def prepare(name: str, data_dir: str = "") -> tfds.core.DatasetBuilder:
    """Prepares a set unless it is there.

    A set that has a builder class is prepared in the version of that class, beside any
    other version.

    Args:
      name: one of `embedded.names()`, `package.module:Class` for a builder of one's
        own, or any set of TFDS, which is then downloaded.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Returns:
      A builder that reads the prepared set.

    Raises:
      UserError: the set is unknown or could not be prepared; no folder is left empty.
    """
    if builder := prepared.find(name, data_dir):
        return builder
    # Ten tries, the default, need 3.4 minutes to find that there is no network.
    downloader.MAX_RETRIES = 3
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        # TFDS prints sizes, which are unknown or wrong for embedded sets.
        with (
            _removing_empty_folders(name, data_dir),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            builder = _make_builder(name, data_dir)
            builder.download_and_prepare()
    except UserError:
        raise
    except requests.ConnectionError as error:
        host = urllib.parse.urlsplit(error.request.url).netloc
        raise UserError(
            f"preparing {name!r} needs the network: cannot reach {host}"
        ) from error
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        raise UserError(
            f"preparing {name!r} needs the package {package}: run "
            f"`pip install {package}`; reading the prepared set does not need it"
        ) from error
    except Exception as error:
        if builder := prepared.find(name, data_dir):
            return builder  # Another process was faster.
        # Builders may raise anything; a user needs what failed and where.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"preparing {name!r} in {prepared.data_root(data_dir)} failed: {reason}"
        ) from error
    return prepared.find(name, data_dir)


@contextlib.contextmanager
def _removing_empty_folders(name: str, data_dir: str) -> Iterator[None]:
    """Removes the folders that TFDS has made by then, if it fails and they are empty."""
    root = Path(prepared.data_root(data_dir))
    paths = root / "downloads" / "extracted", root / prepared.parse(name).path
    folders = [folder for path in paths for folder in (path, *path.parents)]
    new = [folder for folder in folders if not folder.exists()]
    try:
        yield
    except BaseException:
        # Deepest first; those that hold something cannot be removed, and stay.
        for folder in sorted(new, key=lambda path: len(path.parts), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _make_builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    options = {
        "data_dir": prepared.data_root(data_dir),
        "file_format": tfds.core.FileFormat.ARRAY_RECORD,
    }
    if builder := prepared.parse(name).builder:
        return builder(**options)
    try:
        return tfds.builder(name, **options)
    except tfds.core.DatasetNotFoundError:
        known = [*embedded.names(), *tfds.list_builders(with_community_datasets=False)]
        near = difflib.get_close_matches(name, known) or [
            *embedded.names(),
            "mnist",
            "cifar10",
        ]
        raise UserError(
            f"there is no data set {name!r}: known are {', '.join(near)} and others of "
            "https://www.tensorflow.org/datasets/catalog, some of them only where "
            "TensorFlow is installed"
        ) from None
