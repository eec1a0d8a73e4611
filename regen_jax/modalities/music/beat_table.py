"""A table of what happens in each beat, as text that a person can edit."""

import dataclasses
from collections.abc import Sequence

from regen_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table of beats.

    Attributes:
      name: stands in the header.
      symbols: what may stand below it.
      hint: says in words what these are.
    """

    name: str
    symbols: tuple[str, ...]
    hint: str


def write(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """A header, then a line a beat: its number, from 1 on, and its symbols."""
    header = ["beat", *(column.name for column in columns)]
    lines = [header, *([str(beat), *row] for beat, row in enumerate(rows, 1))]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "".join(
        "  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines
    )


def read(columns: Sequence[Column], text: str, beats: int) -> list[list[int]]:
    """What `write` wrote: for each beat, the index of its symbol in each column.

    Empty lines do not count, and beats are numbered anew in the order of their lines.

    Raises:
      UserError: the text has no beats or more than `beats`, or a line does not fit; it
        names the line and what would be right.
    """
    lines = [(i, line.split()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, cells) for i, cells in lines if cells]
    header = ["beat", *(column.name for column in columns)]
    if not lines or lines[0][1] != header:
        found = " ".join(lines[0][1])[:60] if lines else ""
        raise UserError(
            f"line {lines[0][0] if lines else 1}: the header must be "
            f"{' '.join(header)!r}, not {found!r}"
        )
    if len(lines) == 1:
        raise UserError(f"line {lines[0][0]}: no beat follows the header")
    if len(lines) > beats + 1:
        raise UserError(
            f"line {lines[beats + 1][0]}: beat {beats + 1} is one too many: at most "
            f"{beats} fit"
        )
    return [_row(columns, number, cells) for number, cells in lines[1:]]


def _row(columns: Sequence[Column], number: int, cells: list[str]) -> list[int]:
    header = " ".join(["beat", *(column.name for column in columns)])
    if len(cells) != len(columns) + 1:
        count = f"{len(cells)} column" + "s" * (len(cells) > 1)
        raise UserError(
            f"line {number}: {count} where {len(columns) + 1} are needed: {header}"
        )
    if not cells[0].isdecimal():
        raise UserError(
            f"line {number}: {cells[0]!r} where the number of a beat should be"
        )
    row = []
    for column, cell in zip(columns, cells[1:], strict=True):
        if cell not in column.symbols:
            raise UserError(
                f"line {number}, beat {cells[0]}: unknown {column.name} {cell!r}: it "
                f"must be {column.hint}"
            )
        row.append(column.symbols.index(cell))
    return row
