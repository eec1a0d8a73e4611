"""Reports what came out of a sweep: python -m launch.report --workdir=runs/x

One table of what the runs change and their metrics, as mean and standard deviation over
seeds: in the terminal, in report.csv with every metric, in report.md, and as a picture.
Reads a sweep, a search, or any folder of runs, finished or not.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from launch import runs, tables
from launch.aggregate import (
    Result,
    aggregate,
    cells,
    differing,
    group_by_overrides,
    known_metrics,
    select_metrics,
)
from launch.naming import names
from regen_jax import paths
from regen_jax.cli import runner
from regen_jax.cli import workdir as stored
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError
from regen_jax.extras import require

FILES = {"csv": "report.csv", "markdown": "report.md", "figure": "report.png"}

logger = logging.getLogger("launch")


def read_results(workdir: Path, split: str) -> list[Result]:
    """Returns the runs in a folder.

    A sweep remembers what its runs change; of others it is what differs between their
    configs.

    Raises:
      UserError: there are none, or a file of theirs cannot be read.
    """
    memory = runs.remembered(workdir) or {}
    changes = memory.get("runs") or differing(
        {
            path.parent.name: stored.read(path.parent)
            for path in sorted(workdir.glob("*/config.json"))
        }
    )
    if not changes:
        raise UserError(f"--workdir={workdir} holds no sweep, nor folders of runs")
    results = []
    for name, overrides in changes.items():
        finished = runs.finished(workdir / name, split)
        metrics = runs.metrics(workdir / name, split) if finished else None
        lists = {f: tuple(v) for f, v in overrides.items() if isinstance(v, list)}
        results.append(Result(name, {**overrides, **lists}, metrics))
    return results


def draw(
    path: Path, groups: Sequence[Sequence[Result]], metrics: Sequence[str]
) -> None:
    """Draws for each metric a point per run, and the mean of each group."""
    pyplot = require("matplotlib.figure", "launch", "a report")
    size = (2 + 2.4 * len(metrics), 1.2 + 0.3 * len(groups))
    figure = pyplot.Figure(size, layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        for y, group in enumerate(groups):
            values = [r.metrics[metric] for r in group if metric in (r.metrics or {})]
            axis.plot(values, [y] * len(values), "o", color="C0", alpha=0.5)
            if values:
                mean = sum(values) / len(values)
                axis.plot(mean, y, "|", color="k", markersize=14)
        axis.set_xlabel(metric)
        axis.grid(axis="x", alpha=0.3)
    titles = names([group[0].without_seed() for group in groups])
    axes[0].set_yticks(range(len(groups)), titles)
    axes[0].set_ylim(len(groups) - 0.5, -0.5)
    figure.savefig(path, dpi=150)


def evaluated_split(workdir: Path) -> str:
    """Returns the split of a report: `validation` if a run was evaluated on it."""
    on_validation = any(workdir.glob(f"*/{METRICS['validation']}"))
    return "validation" if on_validation else "test"


def main(rest: list[str]) -> None:
    """Writes the three files; prints the table, and which runs are not finished."""
    values = flags.FLAGS
    if not values.workdir:
        raise UserError("--workdir is needed: the folder of a sweep")
    workdir = paths.local(values.workdir, "--workdir")
    files = {
        flag: paths.local(values[flag].value or workdir / name, f"--{flag}")
        for flag, name in FILES.items()
    }
    split = values.split or evaluated_split(workdir)
    results = read_results(workdir, split)
    metrics = select_metrics(known_metrics(results), values.metrics)
    groups = group_by_overrides(results)
    table = aggregate(groups)
    texts = cells(table, metrics)
    table.to_csv(files["csv"], index=False)
    note = f"On the {split} split."
    files["markdown"].write_text(f"{tables.markdown(texts)}\n{note}\n")
    tables.show(texts)
    if metrics:
        draw(files["figure"], groups, metrics)
    else:
        del files["figure"]
    for result in results:
        if result.metrics is None:
            folder = workdir / result.name
            state = runs.last_line(folder) if folder.is_dir() else "not started"
            logger.info("not finished: %s: %s", result.name, state)
    logger.info("%s split: written to %s", split, ", ".join(map(str, files.values())))


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder of the sweep, or of several runs")
    flags.DEFINE_list("metrics", [], "metrics to show, as patterns such as samples/*")
    flags.DEFINE_enum(
        "split",
        None,
        list(METRICS),
        "validation by default, if a run was evaluated on it, else test",
    )
    for flag, file in FILES.items():
        flags.DEFINE_string(flag, None, f"file to write; WORKDIR/{file}")
    runner.run(main)
