"""Studies of several runs: each is trained and evaluated, and a table of metrics kept.

A study is a folder with `run.py`, `results.json` and a figure. Its tables are data: rows of
text under the name of a table in `results.json`, from which README tables are written.
"""

import dataclasses
import json
import os
import re
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch.tables import markdown
from regen_jax import files
from regen_jax.cli import commands
from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.train_run import train_run

ROOT = Path(__file__).parents[1]
RESULTS = flags.DEFINE_string("results", "", "results.json to write; none if empty")


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of a study.

    Attributes:
      title: first cell of its row.
      config: a config and its choices, such as `digits.py:abstraction=fsq`.
      options: fields of the config by path, such as `train.prior.init_from`; a value
        `{NAME}` is the workdir of the row of that title.
    """

    title: str
    config: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Column:
    """A metric of all runs.

    Attributes:
      title: of the column.
      metric: a key of `metrics.json`.
      style: format of the cell, such as `{:.1%}`.
    """

    title: str
    metric: str
    style: str = "{:.3g}"

    def cell(self, metrics: Mapping[str, float]) -> str:
        """Returns the cell of a run; empty where it lacks the metric."""
        value = metrics.get(self.metric)
        return "" if value is None else self.style.format(value)


COSTS = (
    Column("parameters", "train/parameters", "{:,.0f}"),
    Column("training FLOPs", "train/flops", "{:.2g}"),
    Column("training", "train/seconds", "{:,.0f} s"),
)
"""What every table of runs states."""


def run_study(
    name: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    folder: Path,
    results: Path | None = None,
) -> list[list[str]]:
    """Trains and evaluates each run, resuming where it stopped, and returns the table.

    Args:
      name: of the table.
      rows: the runs, in an order in which one may take stages of earlier ones.
      columns: the metrics, to which `COSTS` are added.
      folder: holds the workdirs.
      results: a JSON file that gets the table as `tables[name]`; None for none.
    """
    folders = workdirs(rows, folder)
    table = [["", *(column.title for column in (*columns, *COSTS))]]
    for row in rows:
        path, _, choices = row.config.partition(":")
        config = runpy.run_path(str(ROOT / "configs" / path))["get_config"](choices)
        for option, value in row.options.items():
            text = value.format(**folders) if isinstance(value, str) else value
            config.update_from_flattened_dict({option: text})
        train_run(config, folders[row.title])
        metrics, _ = evaluate_run(folders[row.title])
        table.append(
            [row.title, *(column.cell(metrics) for column in (*columns, *COSTS))]
        )
    print(markdown(table))
    if results:
        content = json.loads(results.read_text()) if results.exists() else _new(results)
        content["tables"][name] = table
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        files.write_atomically(results, text)
    return table


def workdirs(rows: Sequence[Row], folder: Path) -> dict[str, Path]:
    """Returns the workdir of each run of a study in a folder, by the title of its row."""
    return {row.title: folder / re.sub(r"\W+", "_", row.title) for row in rows}


def _new(results: Path) -> dict[str, Any]:
    """Returns a `results.json` without tables, of the study in whose folder it is."""
    study = results.parent.name
    return {
        "command": f"python -m experiments.{study}.run --workdir=runs/{study}",
        "machine": f"{os.cpu_count()} CPU cores",
        "tables": {},
    }


def main(name: str, rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """Runs a study as a command."""

    def run() -> None:
        results = Path(RESULTS.value) if RESULTS.value else None
        run_study(name, rows, columns, commands.workdir(), results)

    commands.run(run)
