"""Figures of finished runs by what they change, over seeds. Pure."""

import dataclasses
import fnmatch
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from regen_jax.errors import UserError

SEED = "seed"
"""The override that is averaged over."""
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
"""Shown first where nothing is asked for."""
SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Result:
    """A run: what it changes, and its figures, or None while it is not finished."""

    name: str
    overrides: Mapping[str, Any]
    metrics: Mapping[str, float] | None


@dataclasses.dataclass(frozen=True)
class Row:
    """Runs that differ in the seed alone."""

    overrides: Mapping[str, Any]
    results: tuple[Result, ...]

    @property
    def number(self) -> int:
        """How many are finished."""
        return sum(result.metrics is not None for result in self.results)

    def values(self, metric: str) -> list[float]:
        """The figure of each finished run that has it."""
        found = (result.metrics or {} for result in self.results)
        return [metrics[metric] for metrics in found if metric in metrics]

    def mean(self, metric: str) -> float | None:
        """The mean over seeds; None where no run has the figure."""
        values = self.values(metric)
        return math.fsum(values) / len(values) if values else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation (of a sample) over seeds; None for fewer than two."""
        values = self.values(metric)
        if len(values) < 2:
            return None
        return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan

    def shown(self, metric: str) -> str:
        """`mean ± spread`, in as many digits as one reads."""
        mean, spread = self.mean(metric), self.spread(metric)
        if mean is None:
            return ""
        return f"{mean:.4g}" if spread is None else f"{mean:.4g} ± {spread:.2g}"


def rows(results: Sequence[Result]) -> list[Row]:
    """Results by what they change but the seed, in the order of the first ones."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(repr(sorted(_unseeded(result).items())), []).append(result)
    return [Row(_unseeded(group[0]), tuple(group)) for group in groups.values()]


def known(results: Sequence[Result]) -> list[str]:
    """Names of all figures, in the order in which runs give them."""
    return list(
        dict.fromkeys(name for result in results for name in result.metrics or {})
    )


def chosen(names: Sequence[str], globs: Sequence[str]) -> list[str]:
    """Figures to show: those that the patterns ask for, else a few usual ones.

    Raises:
      UserError: a pattern fits none, though there are some.
    """
    if not globs:
        usual = [name for name in USUAL if name in names]
        return (usual or list(names))[:SHOWN]
    found: list[str] = []
    for glob in globs:
        fitting = fnmatch.filter(names, glob)
        if names and not fitting:
            raise UserError(
                f"--metrics={glob} fits no figure: known are {', '.join(names)}"
            )
        found += fitting
    return list(dict.fromkeys(found))


def differing(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each of some configs sets that not all of them set alike, by field.

    Where a part was taken from makes it no other: `init_from` does not count.
    """
    flat = {name: dict(_flatten(config)) for name, config in configs.items()}
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


def _unseeded(result: Result) -> dict[str, Any]:
    return {field: v for field, v in result.overrides.items() if field != SEED}


def _flatten(config: Mapping[str, Any], prefix: str = ""):
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
