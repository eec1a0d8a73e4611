"""Prepares data sets for training.

    python -m regen_jax.data.prepare NAME… [--data_dir=…]

A name is that of a folder of `regen_jax/data/builders`, of a set of TFDS such as
`mnist`, or `package.module:Class` for a builder of your own.
"""

import time

import tensorflow_datasets as tfds
from absl import flags

from regen_jax import paths, runner
from regen_jax.data.tfds import embedded, prepared
from regen_jax.data.tfds.prepare import prepare
from regen_jax.errors import UserError

DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "folder that holds the data sets; the default is that of TFDS"
)


def main(names: list[str]) -> None:
    """Prepares each set unless it is there, and prints the size of its splits."""
    data_dir = DATA_DIR.value
    if data_dir:
        paths.local(data_dir, "--data_dir")
    for name in names:
        start = time.monotonic()
        existing = prepared.find(name, data_dir)
        builder = existing or prepare(name, data_dir)
        seconds = time.monotonic() - start
        state = "already there" if existing else f"ready in {seconds:.1f} s"
        print(f"{name} {state}: {_summary(builder)}")


def _parse(argv: list[str]) -> list[str]:
    """Parses flags, and returns the names of data sets."""
    try:
        names = flags.FLAGS(argv)[1:]
    except flags.Error as error:
        raise UserError(str(error).splitlines()[-1]) from error
    if not names:
        raise UserError(
            f"name a data set: {', '.join(embedded.names())}, any set of TFDS, or "
            "package.module:Class for a builder of your own"
        )
    return names


def _summary(builder: tfds.core.DatasetBuilder) -> str:
    splits = builder.info.splits.items()
    counts = ", ".join(f"{split.num_examples:,} {name}" for name, split in splits)
    return f"{counts} examples in {builder.data_dir}"


if __name__ == "__main__":
    runner.run(main, parse=_parse)
