"""Tables with a row per beat, as text that a person can edit."""

import dataclasses
from collections.abc import Sequence

from regen_jax.errors import UserError, quote


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: name in the header.
      symbols: possible cells.
      hint: description of the symbols for messages.
    """

    name: str
    symbols: tuple[str, ...]
    hint: str


def format_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """Formats a header and a line per beat: its number from 1 on, and its symbols."""
    header = ["beat", *(column.name for column in columns)]
    lines = [header, *([str(beat), *row] for beat, row in enumerate(rows, 1))]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "".join(
        "  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines
    )


def parse_table(
    columns: Sequence[Column], text: str, max_beats: int
) -> list[list[int]]:
    """Parses a table, the inverse of `format_table`.

    Empty lines are ignored, and beats are in the order of their lines, whatever their
    numbers.

    Args:
      columns: columns of the table.
      text: the table.
      max_beats: maximum number of beats.

    Returns:
      For each beat, the index of its symbol in each column.

    Raises:
      UserError: the text has no beats or more than `max_beats`, or a line is invalid.
    """
    lines = [(i, line.split()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, cells) for i, cells in lines if cells]
    header = ["beat", *(column.name for column in columns)]
    if not lines or lines[0][1] != header:
        first_line = " ".join(lines[0][1]) if lines else ""
        raise UserError(
            f"line {lines[0][0] if lines else 1}: the header must be "
            f"{' '.join(header)!r}, not {quote(first_line)}"
        )
    if len(lines) == 1:
        raise UserError(f"line {lines[0][0]}: no beat follows the header")
    if len(lines) > max_beats + 1:
        raise UserError(
            f"line {lines[max_beats + 1][0]}: beat {max_beats + 1} is one too many: at "
            f"most {max_beats} fit"
        )
    return [_parse_row(columns, number, cells) for number, cells in lines[1:]]


def _parse_row(columns: Sequence[Column], number: int, cells: list[str]) -> list[int]:
    header = " ".join(["beat", *(column.name for column in columns)])
    if len(cells) != len(columns) + 1:
        count = f"{len(cells)} column" + "s" * (len(cells) > 1)
        raise UserError(
            f"line {number}: {count} where {len(columns) + 1} are needed: {header}"
        )
    if not cells[0].isdecimal():
        raise UserError(
            f"line {number}: {quote(cells[0])} where the number of a beat should be"
        )
    row = []
    for column, cell in zip(columns, cells[1:], strict=True):
        if cell not in column.symbols:
            raise UserError(
                f"line {number}, beat {cells[0]}: unknown {column.name} "
                f"{quote(cell)}: it must be {column.hint}"
            )
        row.append(column.symbols.index(cell))
    return row
