"""Prepares a data set: `python -m regen_jax.data.prepare NAME [--data_dir=DIR]`."""

import argparse
import contextlib
import difflib
import io
import logging
import sys
import time
import urllib.parse

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from regen_jax import paths
from regen_jax.data.tfds import embedded, prepared
from regen_jax.errors import UserError, line


def prepare(name: str, data_dir: str = "") -> tfds.core.DatasetBuilder:
    """Prepares a set as array_record, unless it is there, and returns its builder.

    An embedded set is prepared in the version of its builder, beside any other version.

    Args:
      name: one of `embedded.names()`, or any set of TFDS, which is then downloaded.
      data_dir: the folder that holds the sets; TFDS's default if empty.

    Raises:
      UserError: the set is unknown or could not be made.
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
        with contextlib.redirect_stdout(io.StringIO()):
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
        # Builders of TFDS may raise anything; the reader needs what and where.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"preparing {name!r} in {prepared.data_root(data_dir)} failed: {reason}"
        ) from error
    return prepared.find(name, data_dir)


def _make_builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    options = {
        "data_dir": prepared.data_root(data_dir),
        "file_format": tfds.core.FileFormat.ARRAY_RECORD,
    }
    path, _ = prepared.parse(name)
    if path in embedded.names():
        return embedded.builder(path)(**options)
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


def _summary(builder: tfds.core.DatasetBuilder) -> str:
    splits = builder.info.splits.items()
    counts = ", ".join(f"{split.num_examples:,} {name}" for name, split in splits)
    return f"{counts} examples in {builder.data_dir}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m regen_jax.data.prepare",
        description="Prepares a data set for training.",
    )
    parser.add_argument(
        "name", help=f"{', '.join(embedded.names())}, or any set of TFDS"
    )
    parser.add_argument("--data_dir", default="", help="default: that of TFDS")
    options = parser.parse_args(argv)
    start = time.monotonic()
    try:
        if options.data_dir:
            paths.local(options.data_dir, "--data_dir")
        there = prepared.find(options.name, options.data_dir)
        builder = there or prepare(options.name, options.data_dir)
    except (UserError, OSError) as error:
        print("error:", line(error), file=sys.stderr)
        return 1
    state = "already there" if there else f"ready in {time.monotonic() - start:.1f} s"
    print(f"{options.name} {state}: {_summary(builder)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
