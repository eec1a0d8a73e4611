"""Formats tables and JSON as Markdown."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def table(columns: Mapping[str, Iterable[str]]) -> str:
    """Formats columns of equal length, by title, as a Markdown table."""
    rows = zip(*columns.values(), strict=True)
    lines = [[*columns], ["---"] * len(columns), *rows]
    cells = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def json_block(value: Mapping[str, Any]) -> str:
    """Formats a config as a block of JSON, of which a viewer keeps the lines."""
    return f"```json\n{json.dumps(value, indent=2, default=str)}\n```"
