"""Compares two evaluated runs on the same examples, by a paired bootstrap over them.

python -m launch.compare --baseline=runs/direct --workdir=runs/template

Prints metrics, differences with 95 % intervals and p-values, and the cost of training.
Intervals cover the choice of examples alone; for the variance over seeds, train several
runs of each (`launch.report`).
"""

import fnmatch
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from launch import tables
from launch.aggregate import select_metrics
from regen_jax import paths, runner
from regen_jax.cli import workdir as stored
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError
from regen_jax.evaluation import outputs
from regen_jax.metrics.significance import Comparison, compare_texts, paired_bootstrap

USUAL = ("samples/*", "whole/*", "pipeline/*")
COSTS = ("train/parameters", "train/flops", "train/*_steps", "train/seconds")
TEXT_METRICS = ("bleu", "chrf")


def paired(baseline: Path, workdir: Path, split: str) -> dict[str, Comparison]:
    """Returns comparisons of the samples of two runs, by metric.

    Raises:
      UserError: a run was not evaluated on the split, or the examples differ.
    """
    first = _outputs(baseline, split, "baseline")
    second = _outputs(workdir, split, "workdir")
    _check_same_data(baseline, workdir)
    rows = outputs.matching_rows(first, second)
    comparisons = {
        name: paired_bootstrap(column, second[name][rows])
        for name, column in first.items()
        if name in second and isinstance(column, np.ndarray)
    }
    if "output" in first and "output" in second and "reference" in first:
        system = [second["output"][row] for row in rows]
        metrics = stored.read_metrics(baseline, split)
        for name in TEXT_METRICS:
            if f"samples/{name}" in metrics:
                texts = first["reference"], first["output"], system
                comparisons[name] = compare_texts(name, *texts)
    return comparisons


def cells(
    baseline: Path, workdir: Path, split: str, globs: Sequence[str] = ()
) -> list[list[str]]:
    """Returns the cells of the table, its titles first.

    Raises:
      UserError: as `paired`, or a pattern matches no metric of both.
    """
    comparisons = paired(baseline, workdir, split)
    first, second = (stored.read_metrics(run, split) for run in (baseline, workdir))
    common = [name for name in first if name in second]
    shown = select_metrics(common, globs) or _matching(common, USUAL)
    table = [["", "baseline", "run", "difference", "95 % interval", "p"]]
    for name in shown:
        part, _, metric = name.partition("/")
        values = first[name], second[name], second[name] - first[name]
        interval = ["", ""]
        if part == "samples" and (c := comparisons.get(metric)):
            values = c.baseline, c.system, c.difference
            interval = [f"{c.low:.3g} to {c.high:.3g}", f"{c.p_value:.3g}"]
        texts = "{:.4g} {:.4g} {:+.3g}".format(*values).split()
        table.append([name, *texts, *interval])
    for name in _matching(first | second, COSTS):
        values = [side.get(name) for side in (first, second)]
        sides = ["" if value is None else f"{value:.4g}" for value in values]
        ratio = f"× {values[1] / values[0]:.3g}" if all(values) else ""
        table.append([name, *sides, ratio, "", ""])
    return table


def _matching(names: Sequence[str], globs: Sequence[str]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatchcase(name, g) for g in globs)]


def _check_same_data(baseline: Path, workdir: Path) -> None:
    first, second = (
        {"task": config.get("task"), "data.name": config.get("data", {}).get("name")}
        for config in map(stored.read, (baseline, workdir))
    )
    for field in first:
        if first[field] != second[field]:
            raise UserError(
                f"the runs were evaluated on different data sets: config.{field} is "
                f"{first[field]!r} in --baseline and {second[field]!r} in --workdir"
            )


def _outputs(folder: Path, split: str, flag: str) -> dict[str, Any]:
    file = outputs.path(folder, split)
    if not file.exists():
        evaluate = ["python", "-m", "regen_jax.evaluate", f"--workdir={folder}"]
        raise UserError(
            f"--{flag}={folder} has no outputs on the {split} split: run "
            f"`{shlex.join([*evaluate, f'--split={split}'])}`"
        )
    return outputs.read(file)


def main(rest: list[str]) -> None:
    """Runs the command."""
    values = flags.FLAGS
    if not (values.workdir and values.baseline):
        raise UserError("--baseline and --workdir are needed, the folders of two runs")
    folders = (paths.local(values[f].value, f"--{f}") for f in ("baseline", "workdir"))
    tables.show(cells(*folders, values.split, values.metrics))


if __name__ == "__main__":
    flags.DEFINE_string("baseline", None, "folder of the run to compare with")
    flags.DEFINE_string("workdir", None, "folder of the run")
    flags.DEFINE_enum("split", "test", list(METRICS), "what both were evaluated on")
    flags.DEFINE_list("metrics", [], f"patterns, by default {','.join(USUAL)}")
    runner.run(main)
