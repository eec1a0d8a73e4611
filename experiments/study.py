"""Studies of several runs: each is trained and evaluated, and a table of metrics kept.

A study is a folder with `run.py`, `results.json` and a figure. Its tables are data: rows of
text under the name of a table in `results.json`, from which README tables are written.
"""

import dataclasses
import json
import os
import re
import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from launch.tables import markdown
from regen_jax import files
from regen_jax.cli import commands
from regen_jax.cli.evaluate_run import evaluate_run
from regen_jax.cli.train_run import train_run
from regen_jax.cli.workdir import check_output
from regen_jax.errors import UserError

ROOT = Path(__file__).parents[1]
RESULTS = flags.DEFINE_string("results", "", "results.json to write; none if empty")
TABLES = flags.DEFINE_list("tables", [], "names of tables to make; all if empty")
SEEDS = flags.DEFINE_integer("seeds", 1, "how many seeds a row has", lower_bound=1)
SIZE = flags.DEFINE_string("size", "", "as in the configs; that of each row if empty")
DATA_DIR = flags.DEFINE_string("data_dir", "", "of prepared sets; TFDS's default")

Metrics = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of a study, or one for each seed.

    Attributes:
      title: first cell of its row.
      config: a config and its choices, such as `digits.py:abstraction=fsq`.
      options: fields of the config by path, such as `train.prior.init_from`; a value
        `{NAME}` is the workdir of the row of that title, with the same seed.
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
      spread: a key of `metrics.json`, the standard deviation of `metric` that a single run
        has; not converted.
      convert: maps the metric to what is shown, such as another unit.
    """

    title: str
    metric: str
    style: str = "{:.3g}"
    spread: str = ""
    convert: Callable[[float], float] = float

    def cell(self, *runs: Metrics) -> str:
        """Returns the cell of a row; empty where a run lacks the metric.

        Of several runs, it is their mean and the standard deviation of one.
        """
        spread = runs[0].get(self.spread) if len(runs) == 1 else None
        return self._text(self._values(runs), spread)

    def difference(self, runs: Sequence[Metrics], others: Sequence[Metrics]) -> str:
        """Returns the cell of the differences of runs and others, one by one."""
        spread = None
        if len(runs) == 1 and self.spread in runs[0].keys() & others[0].keys():
            spread = float(np.hypot(runs[0][self.spread], others[0][self.spread]))
        return self._text(self._values(runs) - self._values(others), spread)

    def _values(self, runs: Sequence[Metrics]) -> np.ndarray:
        """Returns what is shown of each run, f64[runs]; NaN where it lacks the metric."""
        return np.array([self.convert(run.get(self.metric, np.nan)) for run in runs])

    def _text(self, values: np.ndarray, spread: float | None) -> str:
        if np.isnan(values).any():
            return ""
        if len(values) > 1:
            spread = np.std(values, ddof=1)
        parts = [np.mean(values)] if spread is None else [np.mean(values), spread]
        return " ± ".join(map(self.style.format, parts))


def fractions(
    metrics: Mapping[str, str], parts: Mapping[str, str] | None = None
) -> tuple[Column, ...]:
    """Returns columns of metrics in percent, for each part of `metrics.json`.

    Args:
      metrics: titles by metric.
      parts: what comes before the titles by part, such as `real: ` of `real`; None takes
        the samples alone, and the titles as they are.
    """
    return tuple(
        Column(prefix + title, f"{part}/{metric}", "{:.1%}")
        for part, prefix in (parts or {"samples": ""}).items()
        for metric, title in metrics.items()
    )


FRECHET = Column("Fréchet distance", "samples/frechet", "{:.1f}", "samples/frechet_std")
COSTS = (
    Column("parameters", "train/parameters", "{:,.0f}"),
    Column("training FLOPs", "train/flops", "{:.2g}"),
    Column("training", "train/seconds", "{:,.0f} s"),
)
"""What every table of runs states."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large a study is.

    Attributes:
      seeds: runs of each row: with the seed of its config, and the numbers that follow it.
      size: the choice `size` of each config; empty for that of each row.
      data_dir: of the prepared sets; empty for TFDS's default.
    """

    seeds: int = 1
    size: str = ""
    data_dir: str = ""


@dataclasses.dataclass(frozen=True)
class Study:
    """Runs whose metrics make a table.

    Attributes:
      name: of the table.
      rows: the runs, in an order in which one may take stages of earlier ones, or a
        function that returns them.
      columns: the metrics, to which `COSTS` are added.
      shared: stages that the first run trains and all others take from it, such as a judge
        whose features distances are measured on.
      differences: pairs of titles, for each of which a row has the metrics of the first
        less those of the second, seed by seed.
    """

    name: str
    rows: Sequence[Row] | Callable[[Scale], Sequence[Row]]
    columns: Sequence[Column]
    shared: Sequence[str] = ()
    differences: Sequence[tuple[str, str]] = ()

    def configs(
        self, folder: Path, scale: Scale
    ) -> Iterator[tuple[str, Path, ConfigDict]]:
        """Yields title, workdir and config of each run, in an order to train them in."""
        rows = self.rows(scale) if callable(self.rows) else self.rows
        first = None
        for seed in range(scale.seeds):
            # The first seed has no suffix, so that a study can be widened to more seeds.
            suffix = f"_seed_{seed}" if seed else ""
            workdirs = {
                row.title: folder / (re.sub(r"\W+", "_", row.title) + suffix)
                for row in rows
            }
            for row in rows:
                config = configure(row, workdirs, scale)
                config.seed += seed
                workdir = workdirs[row.title]
                first = first or workdir
                if workdir != first:
                    for stage in self.shared:
                        config.train[stage].init_from = str(first)
                yield row.title, workdir, config


def configure(row: Row, workdirs: Mapping[str, Path], scale: Scale) -> ConfigDict:
    """Returns the config of a row, given the workdirs of all rows by title.

    Raises:
      UserError: the config has no such size.
    """
    path, _, choices = row.config.partition(":")
    if scale.size:
        choices = ",".join(filter(None, (choices, f"size={scale.size}")))
    get_config = runpy.run_path(str(ROOT / "configs" / path))["get_config"]
    try:
        config = get_config(choices)
    except ValueError as error:
        raise UserError(f"{row.title}: {error}") from error
    config.data.dir = scale.data_dir
    for option, value in row.options.items():
        text = value.format(**workdirs) if isinstance(value, str) else value
        config.update_from_flattened_dict({option: text})
    return config


def run_study(
    study: Study, folder: Path, scale: Scale, results: Path | None = None
) -> list[list[str]]:
    """Trains and evaluates each run, resuming where it stopped, and returns the table.

    Args:
      study: its runs.
      folder: holds the workdirs.
      scale: of the study.
      results: a JSON file that gets the table as `tables[name]`; None for none.

    Raises:
      UserError: a config has no such size, or the results cannot be written, before
        anything is trained.
    """
    content = _stored(results, scale) if results else {}
    configs = list(study.configs(folder, scale))
    runs: dict[str, list[Metrics]] = {}
    for title, workdir, config in configs:
        train_run(config, workdir)
        metrics, _ = evaluate_run(workdir)
        runs.setdefault(title, []).append(metrics)
    columns = (*study.columns, *COSTS)
    table = [["", *(column.title for column in columns)]]
    for title, metrics in runs.items():
        table.append([title, *(column.cell(*metrics) for column in columns)])
    for pair in study.differences:
        metrics, others = (runs[title] for title in pair)
        cells = (column.difference(metrics, others) for column in columns)
        table.append([" less ".join(pair), *cells])
    print(markdown(table))
    if results:
        content["tables"][study.name] = table
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        results.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(results, text)
    return table


def _stored(results: Path, scale: Scale) -> dict[str, Any]:
    """Returns the content of a results file, without tables where it is new."""
    check_output(results, directory=False, flag="--results=")
    if results.exists():
        content = files.read_json(results)
        if not isinstance(content.get("tables"), dict):
            raise UserError(
                f"--results={results} holds no tables, and is left as it is"
            )
        return content
    name = results.resolve().parent.name
    command = [f"python -m experiments.{name}.run --workdir=runs/{name}"]
    if scale.seeds > 1:
        command.append(f"--seeds={scale.seeds}")
    if scale.size:
        command.append(f"--size={scale.size}")
    return {
        "command": " ".join(command),
        "machine": f"{os.cpu_count()} CPU cores",
        "tables": {},
    }


def main(*studies: Study) -> None:
    """Runs studies as a command."""

    def run() -> None:
        names = [study.name for study in studies]
        if unknown := set(TABLES.value) - {*names}:
            raise UserError(
                f"--tables: no table {min(unknown)!r}; there are {', '.join(names)}"
            )
        results = Path(RESULTS.value) if RESULTS.value else None
        scale = Scale(SEEDS.value, SIZE.value, DATA_DIR.value)
        for study in studies:
            if study.name in TABLES.value or not TABLES.value:
                run_study(study, commands.workdir(), scale, results)

    commands.run(run)
