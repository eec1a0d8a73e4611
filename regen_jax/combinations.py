"""Prints which choices of a config fit together, and why the others do not.

    python -m regen_jax.combinations --config=configs/digits.py

A line for each abstraction × prior × decoder that the config offers, known from their
spaces alone: nothing is compiled or written.
"""

import itertools
import sys

from regen_jax.cli import commands
from regen_jax.cli.combinations import combinations, offered, print_table

CONFIG = commands.define_config()


def main() -> None:
    """Prints the combinations as a table, and how many fit."""
    commands.parsed_config(CONFIG)
    arguments = sys.argv[1:]
    rows = combinations(arguments)
    # Before anything is printed, it raises what is wrong with all combinations.
    first = next(rows)
    print_table(offered(arguments), itertools.chain([first], rows))


if __name__ == "__main__":
    commands.run(main)
