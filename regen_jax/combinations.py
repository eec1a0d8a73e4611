"""Prints which choices of a config fit together, and why the others do not.

    python -m regen_jax.combinations --config=configs/digits.py

A line for each abstraction × prior × decoder that the config offers, known from their
spaces alone: nothing is compiled or written.
"""

import sys

from regen_jax.cli import commands
from regen_jax.cli.combinations import combinations

CONFIG = commands.define_config()


def main() -> None:
    """Prints the combinations as a table, and how many fit."""
    commands.parsed_config(CONFIG)
    rows = list(combinations(sys.argv[1:]))
    widths = {
        role: max(len(role), *(len(row.choices[role]) for row in rows))
        for role in rows[0].choices
    }
    print("  ".join(role.ljust(width) for role, width in widths.items()))
    for choices, misfit in rows:
        cells = [choices[role].ljust(width) for role, width in widths.items()]
        print("  ".join([*cells, misfit or "fits"]))
    print(f"{sum(not row.misfit for row in rows)} of {len(rows)} combinations fit")


if __name__ == "__main__":
    commands.run(main)
