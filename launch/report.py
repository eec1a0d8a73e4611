"""What came out of a sweep: python -m launch.report --workdir=runs/x

One table of what the runs change and their metrics, as mean and standard deviation over
seeds: in the terminal, in report.csv with every metric, in report.md, and as a picture.
Reads a sweep, a search, or any folder of runs, finished or not.
"""

import csv
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch import cli, runs
from launch.extras import optional
from launch.figures import Result, Row, chosen, differing, known, rows
from launch.naming import labels, names
from regen_jax import paths
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError

logger = logging.getLogger("launch")


def results(workdir: Path, split: str) -> list[Result]:
    """The runs in a folder; `UserError` where there are none.

    A sweep remembers what its runs change; of others it is what differs between their
    configs.
    """
    memory = runs.remembered(workdir) or {}
    changes: Mapping[str, Mapping[str, Any]] = memory.get("runs") or differing(
        {
            path.parent.name: runs.config(path.parent)
            for path in sorted(workdir.glob("*/config.json"))
        }
    )
    if not changes:
        raise UserError(f"--workdir={workdir} holds no sweep, nor folders of runs")
    return [
        Result(
            name,
            {f: tuple(v) if isinstance(v, list) else v for f, v in overrides.items()},
            runs.metrics(folder, split)
            if runs.finished(folder := workdir / name, split)
            else None,
        )
        for name, overrides in changes.items()
    ]


def columns(table: Sequence[Row]) -> dict[str, str]:
    """Titles of the fields in which the rows differ, by field."""
    fields = dict.fromkeys(field for row in table for field in row.overrides)
    changing = [
        field
        for field in fields
        if len({repr(row.overrides.get(field)) for row in table}) > 1
    ]
    return labels(changing)


def cells(table: Sequence[Row], metrics: Sequence[str]) -> list[list[str]]:
    """The table as texts, its titles first."""
    titles = columns(table)
    head = [*titles.values(), "n", *metrics]
    return [
        head,
        *(
            [
                *(str(row.overrides.get(field, "")) for field in titles),
                f"{row.number}"
                if row.number == len(row.results)
                else f"{row.number} of {len(row.results)}",
                *(row.shown(metric) for metric in metrics),
            ]
            for row in table
        ),
    ]


def markdown(texts: Sequence[Sequence[str]]) -> str:
    """The texts as a Markdown table."""
    texts = [[text.replace("|", "\\|") for text in row] for row in texts]
    lines = [texts[0], ["---"] * len(texts[0]), *texts[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_csv(path: Path, table: Sequence[Row], metrics: Sequence[str]) -> None:
    """Every figure as numbers: mean and, in a column of its own, standard deviation."""
    fields = dict.fromkeys(field for row in table for field in row.overrides)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        spread = [title for name in metrics for title in (name, f"{name} std")]
        writer.writerow([*fields, "runs", "n", *spread])
        for row in table:
            numbers = [f(name) for name in metrics for f in (row.mean, row.spread)]
            settings = [row.overrides.get(field, "") for field in fields]
            writer.writerow([*settings, len(row.results), row.number, *numbers])


def draw(path: Path, table: Sequence[Row], metrics: Sequence[str]) -> None:
    """A picture: for each figure a point a run, and the mean of each row."""
    with optional():
        from matplotlib.figure import Figure
    height = 1.2 + 0.3 * len(table)
    figure = Figure((2 + 2.4 * len(metrics), height), layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        for place, row in enumerate(table):
            values = row.values(metric)
            axis.plot(values, [place] * len(values), "o", color="C0", alpha=0.5)
            if values:
                axis.plot(row.mean(metric), place, "|", color="k", markersize=14)
        axis.set_xlabel(metric)
        axis.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(table)), names([row.overrides for row in table]))
    axes[0].set_ylim(len(table) - 0.5, -0.5)
    figure.savefig(path, dpi=150)


def show(texts: Sequence[Sequence[str]]) -> None:
    """Prints the texts as a table."""
    with optional():
        from rich.console import Console
        from rich.table import Table
    table = Table(*texts[0])
    for row in texts[1:]:
        table.add_row(*row)
    # A file is not folded to the width of some terminal.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, markup=False, emoji=False).print(table)


def evaluated_split(workdir: Path) -> str:
    """Returns the split of a sweep's reports: `validation` if a run was evaluated on it."""
    on_validation = any(workdir.glob(f"*/{METRICS['validation']}"))
    return "validation" if on_validation else "test"


def report(
    workdir: Path,
    globs: Sequence[str],
    csv: Path,
    markdown_file: Path,
    figure: Path,
    split: str,
) -> None:
    """Writes the three files and prints the table, and which runs are not finished."""
    found = results(workdir, split)
    table, every = rows(found), known(found)
    metrics = chosen(every, globs)
    texts = cells(table, metrics)
    write_csv(csv, table, every)
    markdown_file.write_text(f"{markdown(texts)}\nOn the {split} split.\n")
    show(texts)
    written = [csv, markdown_file]
    if metrics:
        draw(figure, table, metrics)
        written.append(figure)
    for result in found:
        if result.metrics is None:
            folder = workdir / result.name
            state = runs.last_line(folder) if folder.is_dir() else "not started"
            logger.info("not finished: %s: %s", result.name, state)
    logger.info("%s split: written to %s", split, ", ".join(map(str, written)))


def main(rest: list[str]) -> None:
    """The command."""
    given = flags.FLAGS
    if rest or not given.workdir:
        raise UserError("--workdir is needed: the folder of a sweep, and nothing more")
    workdir = paths.local(given.workdir, "--workdir")
    places = {"csv": "report.csv", "markdown": "report.md", "figure": "report.png"}
    report(
        workdir,
        given.metrics,
        *(
            paths.local(given[flag].value or workdir / name, f"--{flag}")
            for flag, name in places.items()
        ),
        split=given.split or evaluated_split(workdir),
    )


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder of the sweep, or of several runs")
    flags.DEFINE_list("metrics", [], "metrics to show, as patterns such as samples/*")
    flags.DEFINE_enum(
        "split",
        None,
        list(METRICS),
        "validation by default, if a run was evaluated on it, else test",
    )
    flags.DEFINE_string("csv", None, "file for every metric; WORKDIR/report.csv")
    flags.DEFINE_string("markdown", None, "file for the table; WORKDIR/report.md")
    flags.DEFINE_string("figure", None, "file for the picture; WORKDIR/report.png")
    cli.run(main)
