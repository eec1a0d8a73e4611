"""Tables of text, for Markdown and for the terminal."""

from collections.abc import Sequence

from tabulate import tabulate


def markdown(rows: Sequence[Sequence[object]]) -> str:
    """Returns rows, the titles first, as a Markdown table that ends with a newline."""
    return _render(
        [[str(cell).replace("|", "\\|") for cell in r] for r in rows], "pipe"
    )


def show(rows: Sequence[Sequence[object]]) -> None:
    """Prints rows, the titles first, as a table."""
    print(_render(rows, "rounded_outline"), end="")


def _render(rows: Sequence[Sequence[object]], table_format: str) -> str:
    titles, *body = rows
    table = tabulate(body, list(titles), table_format, disable_numparse=True)
    return f"{table}\n"
