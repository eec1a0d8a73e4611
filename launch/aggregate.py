"""Aggregates metrics of runs over seeds, by what else the runs change. Pure.

Two frames hold runs by name: `overrides`, and `metrics` of those that are finished.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from launch.algebra import labels
from regen_jax.errors import UserError


def group_runs(overrides: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Groups runs that differ in the seed alone.

    Returns the overrides of each group, and for each run the number of its group.
    """
    settings = overrides.drop(columns="seed", errors="ignore")
    keys = pd.Series([repr(row) for row in settings.to_dict("records")])
    groups = pd.Series(pd.factorize(keys)[0], overrides.index)
    first = settings[~groups.duplicated()]
    return first.set_axis(range(len(first))), groups


def aggregate(overrides: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns a row per group of runs.

    Its columns are the overrides, `runs` (their number), `n` (the number of finished
    ones), and of each metric the mean and, as `… std`, the standard deviation of a
    sample, which is NaN for fewer than two runs.
    """
    settings, groups = group_runs(overrides)
    by_group = metrics.groupby(groups[metrics.index])
    mean, std = by_group.mean(), by_group.std().add_suffix(" std")
    interleaved = [name for pair in zip(mean, std, strict=True) for name in pair]
    counts = {"runs": groups.value_counts(), "n": by_group.size()}
    counts = pd.DataFrame(counts, settings.index).fillna(0).astype(int)
    metrics = pd.concat([mean, std], axis=1)[interleaved]
    return settings.fillna("").join(counts).join(metrics)


def select_metrics(names: Sequence[str], globs: Sequence[str]) -> list[str]:
    """Returns the metrics that match any of the patterns.

    Raises:
      UserError: a pattern matches none, though there are some.
    """
    selected: list[str] = []
    for glob in globs:
        matching = fnmatch.filter(names, glob)
        if names and not matching:
            raise UserError(
                f"--metrics={glob} matches no metric: known are {', '.join(names)}"
            )
        selected += matching
    return list(dict.fromkeys(selected))


def cells(table: pd.DataFrame, metrics: Sequence[str]) -> list[list[str]]:
    """Returns an aggregated table as text, its titles first.

    It has the overrides in which the rows differ, `n`, and each metric as `mean ± std`.
    """
    fields = table.columns[: table.columns.get_loc("runs")]
    titles = labels([f for f in fields if len(set(map(repr, table[f]))) > 1])
    rows = [[*titles.values(), "n", *metrics]]
    for row in table.to_dict("records"):
        unfinished = f" of {row['runs']}" if row["n"] < row["runs"] else ""
        texts = [
            ("" if pd.isna(row[name]) else f"{row[name]:.4g}")
            + ("" if pd.isna(row[f"{name} std"]) else f" ± {row[f'{name} std']:.2g}")
            for name in metrics
        ]
        settings = (str(row[field]) for field in titles)
        rows.append([*settings, f"{row['n']}{unfinished}", *texts])
    return rows


def differing(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the fields of each config that not all of them set alike.

    Where a part was taken from makes it no other: `init_from` does not count.
    """
    flat = [pd.json_normalize(dict(c)).to_dict("records")[0] for c in configs]
    number = pd.DataFrame(flat, dtype=object).map(repr).nunique()
    return [
        {
            field: value
            for field, value in config.items()
            if number[field] > 1 and not field.endswith(".init_from")
        }
        for config in flat
    ]
