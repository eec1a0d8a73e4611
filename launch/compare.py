"""Whether one run is better than another: python -m launch.compare

    --baseline=runs/direct --workdir=runs/template

Metrics of two evaluated runs on the same held-out examples, with the difference, its 95 %
interval and p-value by a paired bootstrap over examples, and what either cost to train:
parameters, FLOPs, steps and seconds. Intervals are of the examples alone; what another
seed would do, several runs of each say (`launch.report`).
"""

import fnmatch
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from launch import cli, runs
from launch.report import show
from regen_jax import outputs, paths
from regen_jax.errors import UserError
from regen_jax.metrics.significance import (
    Comparison,
    compare_texts,
    paired_bootstrap,
)
from regen_jax.workdir import METRICS

USUAL = ("samples/*", "whole/*", "pipeline/*")
COSTS = ("train/parameters", "train/flops", "train/*_steps", "train/seconds")
OF_TEXTS = ("bleu", "chrf")
HEAD = ("", "baseline", "run", "difference", "95 % interval", "p")


def paired(baseline: Path, workdir: Path, split: str) -> dict[str, Comparison]:
    """Returns comparisons by metric of the samples of two runs.

    Raises:
      UserError: either was not evaluated on the split, or on other examples.
    """
    first, second = (
        _outputs(folder, split, flag)
        for folder, flag in ((baseline, "baseline"), (workdir, "workdir"))
    )
    _check_same_data(baseline, workdir)
    rows = _matched(first, second)
    found = {}
    for name, column in first.items():
        if name in second and isinstance(column, np.ndarray):
            found[name] = paired_bootstrap(column, second[name][rows])
    if "output" in first and "output" in second and "reference" in first:
        system = [second["output"][row] for row in rows]
        scored = _metrics(baseline, split)
        for name in OF_TEXTS:
            if f"samples/{name}" in scored:
                found[name] = compare_texts(
                    name, first["reference"], first["output"], system
                )
    return found


def cells(
    baseline: Path, workdir: Path, split: str, globs: Sequence[str] = ()
) -> list[list[str]]:
    """Returns the table as texts, its titles first.

    Raises:
      UserError: as `paired`, or a pattern fits no metric of both.
    """
    comparisons = paired(baseline, workdir, split)
    first, second = _metrics(baseline, split), _metrics(workdir, split)
    common = [name for name in first if name in second]
    for glob in globs:
        if not fnmatch.filter(common, glob):
            raise UserError(
                f"--metrics={glob} fits no metric of both runs: they have "
                f"{', '.join(common)}"
            )
    table = [list(HEAD)]
    for name in common:
        if not any(fnmatch.fnmatchcase(name, glob) for glob in globs or USUAL):
            continue
        found = comparisons.get(name.removeprefix("samples/"))
        if found is None or not name.startswith("samples/"):
            values = first[name], second[name]
            table.append([name, *_texts(*values, values[1] - values[0]), "", ""])
        else:
            interval = f"{found.low:.3g} to {found.high:.3g}"
            texts = _texts(found.baseline, found.system, found.difference)
            table.append([name, *texts, interval, f"{found.p_value:.3g}"])
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
    """Rows of the second that are the examples of the first.

    Texts but the output tell examples apart; equal ones are taken in their order.
    """
    names = [
        name for name, column in first.items()
        if name != "output" and not isinstance(column, np.ndarray)
    ]  # fmt: skip

    def examples(columns: dict) -> list[tuple[str, ...]]:
        try:
            return list(zip(*(columns[name] for name in names), strict=True))
        except KeyError as error:
            raise UserError(f"the runs differ in task: one has no {error}") from None

    ours, theirs = examples(first), examples(second)
    places = defaultdict(list)
    for row, example in reversed(list(enumerate(theirs))):
        places[example].append(row)
    rows = [places[example].pop() if places[example] else None for example in ours]
    missing = [example for example, row in zip(ours, rows, strict=True) if row is None]
    if missing or len(ours) != len(theirs):
        only = f", such as {missing[0][-1]!r}" if missing else ""
        raise UserError(
            f"the runs were evaluated on other examples: {len(ours)} and {len(theirs)}, "
            f"of which {len(ours) - len(missing)} are the same{only}"
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
                f"the runs were evaluated on other sets: config.{field} is {sides[0]!r} "
                f"in --baseline and {sides[1]!r} in --workdir"
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
    flags.DEFINE_enum("split", "test", list(METRICS), "evaluated examples")
    flags.DEFINE_list("metrics", [], f"patterns of metrics; {', '.join(USUAL)}")
    cli.run(main)
