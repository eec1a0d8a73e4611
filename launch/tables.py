"""Tables of text, for Markdown and for the terminal."""

from collections.abc import Sequence

from tabulate import tabulate


def markdown(rows: Sequence[Sequence[object]]) -> str:
    """Returns rows, the titles first, as a Markdown table that ends with a newline."""
    rows = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return tabulate(rows[1:], rows[0], "pipe", disable_numparse=True) + "\n"


def show(rows: Sequence[Sequence[object]]) -> None:
    """Prints rows, the titles first, as a table."""
    print(tabulate(rows[1:], rows[0], "rounded_outline", disable_numparse=True))
