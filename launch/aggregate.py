"""Aggregates metrics of runs over seeds, by what else the runs change. Pure."""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from launch.naming import labels
from regen_jax.errors import UserError

SEED = "seed"
"""The override that is aggregated over."""
USUAL = (
    "samples/accuracy",
    "samples/frechet",
    "samples/wer",
    "samples/cer",
    "samples/per",
    "prior/nll",
    "abstraction/psnr",
    "decoder/psnr",
)
"""Metrics that are shown by default."""
NUM_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Result:
    """A run: what it changes, and its metrics, or None until it is finished."""

    name: str
    overrides: Mapping[str, Any]
    metrics: Mapping[str, float] | None

    def without_seed(self) -> dict[str, Any]:
        """Returns its overrides but the seed."""
        return {f: value for f, value in self.overrides.items() if f != SEED}


def group_by_overrides(results: Sequence[Result]) -> list[list[Result]]:
    """Groups results that differ in the seed alone, in the order of the first ones."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        key = repr(sorted(result.without_seed().items()))
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def aggregate(groups: Sequence[Sequence[Result]]) -> pd.DataFrame:
    """Returns a row per group of runs.

    Its columns are the overrides, `runs` (their number), `n` (the number of finished
    ones), and of each metric the mean and, as `… std`, the standard deviation of a
    sample, which is NaN for fewer than two runs.
    """
    overrides = [group[0].without_seed() for group in groups]
    rows = [result.metrics or {} for group in groups for result in group]
    index = [index for index, group in enumerate(groups) for _ in group]
    metrics = pd.DataFrame(rows, index, dtype=float).groupby(level=0)
    mean, std = metrics.mean(), metrics.std().add_suffix(" std")
    interleaved = [column for pair in zip(mean, std, strict=True) for column in pair]
    finished = [[r for r in group if r.metrics is not None] for group in groups]
    counts = {"runs": list(map(len, groups)), "n": list(map(len, finished))}
    return pd.concat(
        [
            pd.DataFrame(overrides, range(len(groups)), dtype=object).fillna(""),
            pd.DataFrame(counts),
            pd.concat([mean, std], axis=1)[interleaved],
        ],
        axis=1,
    )


def known_metrics(results: Sequence[Result]) -> list[str]:
    """Returns the names of all metrics, in the order in which runs have them."""
    names = (name for result in results for name in result.metrics or {})
    return list(dict.fromkeys(names))


def select_metrics(names: Sequence[str], globs: Sequence[str]) -> list[str]:
    """Returns the metrics that match any of the patterns, or the usual ones of none.

    Raises:
      UserError: a pattern matches none, though there are some.
    """
    if not globs:
        usual = [name for name in USUAL if name in names]
        return (usual or list(names))[:NUM_SHOWN]
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
        all_finished = row["n"] == row["runs"]
        number = f"{row['n']}" if all_finished else f"{row['n']} of {row['runs']}"
        pairs = [_mean_and_std(row[m], row[f"{m} std"]) for m in metrics]
        rows.append([*(str(row[field]) for field in titles), number, *pairs])
    return rows


def differing(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns by name the fields of each config that not all of them set alike.

    Where a part was taken from makes it no other: `init_from` does not count.
    """
    flat = {
        name: pd.json_normalize(dict(config)).to_dict("records")[0]
        for name, config in configs.items()
    }
    fields = dict.fromkeys(field for config in flat.values() for field in config)
    changing = [
        field
        for field in fields
        if not field.endswith(".init_from")
        and len({repr(config.get(field)) for config in flat.values()}) > 1
    ]
    return {
        name: {field: config[field] for field in changing if field in config}
        for name, config in flat.items()
    }


def _mean_and_std(mean: float, std: float) -> str:
    if pd.isna(mean):
        return ""
    return f"{mean:.4g}" if pd.isna(std) else f"{mean:.4g} ± {std:.2g}"
