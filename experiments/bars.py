r"""Draws columns of a study's table as bars.

    python -m experiments.bars --results=experiments/quantizers/results.json \
        --table=quantizers --columns="PSNR,judge's accuracy" --out=quantizers.png

A panel for each column and a bar for each row, with its deviation where it has one.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from regen_jax import paths
from regen_jax.cli import commands
from regen_jax.errors import UserError
from regen_jax.extras import require

NUMBER = r"-?[\d,]*\.?\d+(?:e[+-]?\d+)?"


def numbers(cell: str) -> list[float]:
    """Returns the numbers of a cell: none, a value, or a value and its deviation."""
    return [float(text.replace(",", "")) for text in re.findall(NUMBER, cell)]


def draw(path: Path, table: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Draws columns of a table, the titles of which are its first row.

    Raises:
      UserError: the table has no such column.
    """
    titles, rows = table[0], table[1:]
    if unknown := [name for name in columns if name not in titles]:
        raise UserError(
            f"--columns: no column {unknown[0]!r}; there are {', '.join(titles[1:])}"
        )
    matplotlib = require("matplotlib.figure", "experiments", "a figure")
    size = (1.5 + 2 * len(columns), 1 + 0.3 * len(rows))
    figure = matplotlib.Figure(size, layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, columns, strict=True):
        cells = [row[titles.index(name)] for row in rows]
        for place, cell in enumerate(cells):
            if values := numbers(cell):
                deviation = values[1] if "±" in cell else None
                panel.barh(place, values[0], 0.6, color="C0", xerr=deviation)
        panel.set_title(name, fontsize="medium")
        unit, *_ = [re.sub(NUMBER, "", cell.split("±")[0]).strip() for cell in cells]
        panel.set_xlabel(unit)
        panel.set_xmargin(0.1)
    panels[0].set_yticks(range(len(rows)), [row[0] for row in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Reads the table and writes the picture.

    Raises:
      UserError: a flag is missing, or names a table or column that is not there.
    """
    values = flags.FLAGS
    if not values.results:
        raise UserError("--results is needed: the results.json of a study")
    tables = json.loads(paths.local(values.results, "--results").read_text())["tables"]
    if values.table not in tables:
        raise UserError(
            f"--table: no table {values.table!r}; there are {', '.join(tables)}"
        )
    table = tables[values.table]
    draw(paths.local(values.out, "--out"), table, values.columns or table[0][1:])


if __name__ == "__main__":
    flags.DEFINE_string("results", None, "results.json of a study")
    flags.DEFINE_string("table", None, "name of a table in it")
    flags.DEFINE_list("columns", [], "titles of the columns; all if empty")
    flags.DEFINE_string("out", "bars.png", "picture to write")
    commands.run(main)
