"""Compares two evaluated runs: python -m launch.compare

    --baseline=runs/direct --workdir=runs/template

Prints their metrics on the same held-out examples, with the difference, its 95 % interval
and p-value by a paired bootstrap over examples, and the training cost of each: parameters,
FLOPs, steps and seconds. Intervals cover the choice of examples alone; for the variance
over seeds, train several runs of each (`launch.report`).
"""

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from launch import cli, runs
from launch.report import show
from regen_jax import paths
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError
from regen_jax.evaluation import outputs
from regen_jax.metrics.significance import (
    Comparison,
    compare_texts,
    paired_bootstrap,
)

USUAL = ("samples/*", "whole/*", "pipeline/*")
COSTS = ("train/parameters", "train/flops", "train/*_steps", "train/seconds")
OF_TEXTS = ("bleu", "chrf")
HEAD = ("", "baseline", "run", "difference", "95 % interval", "p")


def paired(baseline: Path, workdir: Path, split: str) -> dict[str, Comparison]:
    """Returns comparisons of the samples of two runs, by metric.

    Raises:
      UserError: a run was not evaluated on the split, or the examples differ.
    """
    first, second = (
        _outputs(folder, split, flag)
        for folder, flag in ((baseline, "baseline"), (workdir, "workdir"))
    )
    _check_same_data(baseline, workdir)
    rows = _matched(first, second)
    comparisons = {}
    for name, column in first.items():
        if name in second and isinstance(column, np.ndarray):
            comparisons[name] = paired_bootstrap(column, second[name][rows])
    if "output" in first and "output" in second and "reference" in first:
        system = [second["output"][row] for row in rows]
        scored = _metrics(baseline, split)
        for name in OF_TEXTS:
            if f"samples/{name}" in scored:
                comparisons[name] = compare_texts(
                    name, first["reference"], first["output"], system
                )
    return comparisons


def cells(
    baseline: Path, workdir: Path, split: str, globs: Sequence[str] = ()
) -> list[list[str]]:
    """Returns the cells of the table, its head first.

    Raises:
      UserError: as `paired`, or a pattern matches no metric of both.
    """
    comparisons = paired(baseline, workdir, split)
    first, second = _metrics(baseline, split), _metrics(workdir, split)
    common = [name for name in first if name in second]
    for glob in globs:
        if not fnmatch.filter(common, glob):
            raise UserError(
                f"--metrics={glob} matches no metric of both runs: they have "
                f"{', '.join(common)}"
            )
    table = [list(HEAD)]
    for name in common:
        if not any(fnmatch.fnmatchcase(name, glob) for glob in globs or USUAL):
            continue
        comparison = comparisons.get(name.removeprefix("samples/"))
        if comparison is None or not name.startswith("samples/"):
            values = first[name], second[name]
            table.append([name, *_texts(*values, values[1] - values[0]), "", ""])
        else:
            interval = f"{comparison.low:.3g} to {comparison.high:.3g}"
            texts = _texts(
                comparison.baseline, comparison.system, comparison.difference
            )
            table.append([name, *texts, interval, f"{comparison.p_value:.3g}"])
    for name in dict.fromkeys([*first, *second]):
        if any(fnmatch.fnmatchcase(name, glob) for glob in COSTS):
            sides = [side.get(name) for side in (first, second)]
            texts = ["" if side is None else f"{side:.4g}" for side in sides]
            ratio = f"× {sides[1] / sides[0]:.3g}" if all(sides) else ""
            table.append([name, *texts, ratio, "", ""])
    return table


def _texts(baseline: float, system: float, difference: float) -> list[str]:
    return [f"{baseline:.4g}", f"{system:.4g}", f"{difference:+.3g}"]


def _matched(first: dict, second: dict) -> list[int]:
    """Returns the rows of the second that are the examples of the first.

    Examples are identified by their texts other than the output; equal ones are matched
    in order.
    """
    names = [
        name for name, column in first.items()
        if name != "output" and not isinstance(column, np.ndarray)
    ]  # fmt: skip

    def examples(columns: dict) -> list[tuple[str, ...]]:
        try:
            return list(zip(*(columns[name] for name in names), strict=True))
        except KeyError as error:
            raise UserError(
                f"the tasks of the runs differ: one has no {error}"
            ) from None

    ours, theirs = examples(first), examples(second)
    places = defaultdict(list)
    for row, example in reversed(list(enumerate(theirs))):
        places[example].append(row)
    rows = [places[example].pop() if places[example] else None for example in ours]
    missing = [example for example, row in zip(ours, rows, strict=True) if row is None]
    if missing or len(ours) != len(theirs):
        only = f", such as {missing[0][-1]!r}" if missing else ""
        raise UserError(
            f"the runs were evaluated on different examples: {len(ours)} and "
            f"{len(theirs)}, of which {len(ours) - len(missing)} are the same{only}"
        )
    return rows


def _check_same_data(baseline: Path, workdir: Path) -> None:
    first, second = (runs.config(folder) for folder in (baseline, workdir))
    for field in ("task", "data.name"):
        sides = []
        for config in (first, second):
            value = config
            for key in field.split("."):
                value = value.get(key, {})
            sides.append(value)
        if sides[0] != sides[1]:
            raise UserError(
                f"the runs were evaluated on different data sets: config.{field} is "
                f"{sides[0]!r} in --baseline and {sides[1]!r} in --workdir"
            )


def _outputs(folder: Path, split: str, flag: str) -> dict:
    file = outputs.path(folder, split)
    if not file.exists():
        raise UserError(
            f"--{flag}={folder} has no outputs on the {split} split: run "
            f"`python -m regen_jax.evaluate --workdir={folder} --split={split}`"
        )
    return outputs.read(file)


def _metrics(folder: Path, split: str) -> dict[str, float]:
    return runs.metrics(folder, split)


def main(rest: list[str]) -> None:
    """The command."""
    given = flags.FLAGS
    if rest or not (given.workdir and given.baseline):
        raise UserError("--baseline and --workdir are needed, the folders of two runs")
    baseline = paths.local(given.baseline, "--baseline")
    workdir = paths.local(given.workdir, "--workdir")
    show(cells(baseline, workdir, given.split, given.metrics))


if __name__ == "__main__":
    flags.DEFINE_string("baseline", None, "folder of the run to compare with")
    flags.DEFINE_string("workdir", None, "folder of the run")
    flags.DEFINE_enum(
        "split", "test", list(METRICS), "the split that both were evaluated on"
    )
    flags.DEFINE_list(
        "metrics", [], f"patterns of metrics, by default {', '.join(USUAL)}"
    )
    cli.run(main)
