"""Sweep files, and searches as data. Imports nothing of JAX."""

import dataclasses
import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch import algebra
from launch.algebra import Overrides, Sweep
from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.extras import require
from regen_jax.ranges import Count, Natural, Seed


@dataclasses.dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
      space: by field or choice such as `:abstraction`, a list of values, or a range: a
        `FloatDistribution` or `IntDistribution` of `optuna.distributions`.
      metric: one that `evaluate --split=validation` computes, also read while a run
        trains.
      maximize: whether more of it is better.
      trials: number of runs in all, those that failed or were pruned included.
      seed: of the sampler, which also depends on the trials before.
      warmup_trials: number of complete runs before any is pruned.
    """

    space: Mapping[str, Any]
    metric: str
    maximize: bool = False
    trials: Count = 20
    seed: Seed = 0
    warmup_trials: Natural = 5

    def __post_init__(self):
        if not isinstance(self.space, Mapping) or not self.space:
            raise UserError("search: space must be a dict from fields to their values")
        self.distributions()
        for name in ("trials", "seed", "warmup_trials"):
            if type(value := getattr(self, name)) is not int:
                raise UserError(f"search: {name} must be an int, not {value!r}")
        try:
            ranges.check(self)
        except ValueError as error:
            raise UserError(f"search: {error}") from error

    def distributions(self) -> dict[str, Any]:
        """Returns the optuna distribution of each field, lists by their JSON texts.

        Raises:
          UserError: a field has no values, or a range is not one of finite numbers.
        """
        optuna = require("optuna.distributions", "launch", "a search")
        kinds = {optuna.FloatDistribution: float, optuna.IntDistribution: int}
        distributions = {}
        for field, values in self.space.items():
            if isinstance(values, list | tuple):
                # optuna stores no tuples.
                texts = [json.dumps(run[field]) for run in algebra.grid(field, *values)]
                values = optuna.CategoricalDistribution(texts)
            elif type(values) not in kinds:
                raise UserError(
                    f"search: {field} must be a list of values, a FloatDistribution or an "
                    f"IntDistribution of optuna.distributions, not {values!r}"
                )
            else:
                for end in (values.low, values.high):
                    if fault := ranges.fault(kinds[type(values)], end):
                        raise UserError(f"search: an end of {field} {fault}")
            distributions[algebra.check_field(field)] = values
        return distributions

    def overrides(self, parameters: Mapping[str, Any]) -> Overrides:
        """Returns the overrides that the parameters of an optuna trial stand for."""
        return {
            field: algebra.to_value(field, json.loads(parameters[field]))
            if isinstance(values, list | tuple)
            else parameters[field]
            for field, values in self.space.items()
        }

    def corners(self) -> Sweep:
        """Returns all choices, each with all ranges at their low and high ends."""
        choices, low, high = [], {}, {}
        for field, values in self.space.items():
            if isinstance(values, list | tuple):
                choices.append(algebra.grid(field, *values))
            else:
                low[field], high[field] = values.low, values.high
        ends = (low, high) if low != high else (low,)
        return [choice | end for choice in algebra.product(*choices) for end in ends]

    def identity(self) -> dict[str, Any]:
        """Returns what distinguishes a search, as JSON; `trials` may change."""
        from optuna.distributions import distribution_to_json

        texts = {f: distribution_to_json(d) for f, d in self.distributions().items()}
        space = {field: json.loads(text) for field, text in texts.items()}
        return {**vars(self), "space": space, "trials": None}


def read_sweep(path: Path) -> Sweep | Search:
    """Returns what `get_sweep()` or `get_search()` of a sweep file returns.

    Raises:
      UserError: the file is not there or raises, or what it returns is neither.
    """
    if not path.is_file():
        raise UserError(f"--sweep: no such Python file: {path}")
    name = "the file"
    try:
        module = runpy.run_path(str(path))
        names = [name for name in ("get_sweep", "get_search") if name in module]
        if len(names) != 1:
            has = "both" if names else "neither"
            raise UserError(f"needs get_sweep() or get_search(), but has {has}")
        name = f"{names[0]}()"
        result = module[names[0]]()
        if names == ["get_sweep"]:
            result = algebra.validate(result)
    except UserError as error:
        raise UserError(f"--sweep={path}: {error}") from error
    # The user's own code may raise anything.
    except Exception as error:
        raise UserError(f"--sweep={path}: {name} raises {error!r}") from error
    if not result or (names == ["get_search"] and not isinstance(result, Search)):
        expected = "runs" if names == ["get_sweep"] else "a Search"
        raise UserError(f"--sweep={path}: {name} returns {result!r}, not {expected}")
    return result
