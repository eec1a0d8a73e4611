"""Reports metrics of a sweep, a search or any folder of runs, finished or not.

python -m launch.report --workdir=runs/x

One table of what the runs change and of mean and standard deviation over seeds: in the
terminal, in report.csv with every metric, in report.md, and as a picture.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from absl import flags

from launch import runs, tables
from launch.aggregate import aggregate, cells, differing, group_runs, select_metrics
from launch.algebra import names
from regen_jax import paths, runner
from regen_jax.cli import workdir as stored
from regen_jax.cli.workdir import METRICS
from regen_jax.errors import UserError
from regen_jax.extras import require

FILES = {"csv": "report.csv", "markdown": "report.md", "figure": "report.png"}
USUAL = (
    *("samples/accuracy", "samples/frechet", "samples/wer", "samples/cer"),
    *("samples/per", "prior/nll", "abstraction/psnr", "decoder/psnr"),
)
"""Metrics that are shown by default, the first five that there are."""

logger = logging.getLogger("launch")


def read_runs(workdir: Path, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the overrides of the runs in a folder, and metrics of the finished ones.

    A sweep remembers what its runs change; of others it is what differs between their
    configs.

    Raises:
      UserError: there are no runs, or a file of theirs cannot be read.
    """
    changes = (runs.remembered(workdir) or {}).get("runs")
    if not changes:
        folders = [path.parent for path in sorted(workdir.glob("*/config.json"))]
        fields = differing([stored.read(folder) for folder in folders])
        changes = {run.name: own for run, own in zip(folders, fields, strict=True)}
    if not changes:
        raise UserError(f"--workdir={workdir} holds no sweep, nor folders of runs")
    finished = [name for name in changes if runs.finished(workdir / name, split)]
    metrics = [stored.read_metrics(workdir / name, split) for name in finished]
    overrides = [
        {f: tuple(v) if isinstance(v, list) else v for f, v in fields.items()}
        for fields in changes.values()
    ]
    overrides = pd.DataFrame(overrides, list(changes), dtype=object)
    return overrides, pd.DataFrame(metrics, finished, dtype=float)


def draw(
    path: Path, overrides: pd.DataFrame, metrics: pd.DataFrame, shown: Sequence[str]
) -> None:
    """Draws for each metric a point per run, and the mean of each group."""
    settings, groups = group_runs(overrides)
    size = (2 + 2.4 * len(shown), 1.2 + 0.3 * len(settings))
    matplotlib = require("matplotlib.figure", "launch", "a report")
    figure = matplotlib.Figure(size, layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, shown, strict=True):
        values = metrics[name].dropna()
        axis.plot(values, groups[values.index], "o", color="C0", alpha=0.5)
        mean = values.groupby(groups).mean()
        axis.plot(mean, mean.index, "|", color="k", markersize=14)
        axis.set_xlabel(name)
        axis.grid(axis="x", alpha=0.3)
    titles = names([row.dropna().to_dict() for _, row in settings.iterrows()])
    axes[0].set_yticks(range(len(titles)), titles)
    axes[0].set_ylim(len(titles) - 0.5, -0.5)
    figure.savefig(path, dpi=150)


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
    on_validation = any(workdir.glob(f"*/{METRICS['validation']}"))
    split = values.split or ("validation" if on_validation else "test")
    overrides, metrics = read_runs(workdir, split)
    usual = [name for name in USUAL if name in metrics] or list(metrics)
    shown = select_metrics(list(metrics), values.metrics) or usual[:5]
    table = aggregate(overrides, metrics)
    texts = cells(table, shown)
    files["csv"].write_text(table.to_csv(index=False))
    files["markdown"].write_text(f"{tables.markdown(texts)}\nOn the {split} split.\n")
    tables.show(texts)
    if shown:
        draw(files["figure"], overrides, metrics, shown)
    for name in overrides.index.difference(metrics.index, sort=False):
        folder = workdir / name
        state = runs.last_line(folder) if folder.is_dir() else "not started"
        logger.info("not finished: %s: %s", name, state)
    written = [str(file) for file in files.values() if shown or file != files["figure"]]
    logger.info("%s split: written to %s", split, ", ".join(written))


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "folder of the sweep, or of several runs")
    flags.DEFINE_list("metrics", [], "metrics to show, as patterns such as samples/*")
    split_help = "validation by default, if a run was evaluated on it, else test"
    flags.DEFINE_enum("split", None, list(METRICS), split_help)
    for flag, file in FILES.items():
        flags.DEFINE_string(flag, None, f"file to write; WORKDIR/{file}")
    runner.run(main)
