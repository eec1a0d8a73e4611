"""What a search varies, and what it optimizes. Imports nothing of JAX."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from launch.algebra import Overrides, Sweep, Value, check_field, grid, product, to_value
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

    space: Mapping[str, Any | Sequence[Value]]
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
        distributions = {}
        for field, values in self.space.items():
            if isinstance(values, list | tuple):
                # optuna stores no tuples.
                texts = [json.dumps(run[field]) for run in grid(field, *values)]
                distributions[field] = optuna.CategoricalDistribution(texts)
                continue
            kinds = {optuna.FloatDistribution: float, optuna.IntDistribution: int}
            if type(values) not in kinds:
                raise UserError(
                    f"search: {field} must be a list of values, a FloatDistribution or an "
                    f"IntDistribution of optuna.distributions, not {values!r}"
                )
            for end in (values.low, values.high):
                if fault := ranges.fault(kinds[type(values)], end):
                    raise UserError(f"search: an end of {field} {fault}")
            distributions[check_field(field)] = values
        return distributions

    def overrides(self, parameters: Mapping[str, Any]) -> Overrides:
        """Returns the overrides that the parameters of an optuna trial stand for."""
        return {
            field: to_value(field, json.loads(parameters[field]))
            if isinstance(values, list | tuple)
            else parameters[field]
            for field, values in self.space.items()
        }

    def corners(self) -> Sweep:
        """Returns all choices, each with all ranges at their low and high ends."""
        choices, low, high = [], {}, {}
        for field, values in self.space.items():
            if isinstance(values, list | tuple):
                choices.append(grid(field, *values))
            else:
                low[field], high[field] = values.low, values.high
        ends = (low, high) if low != high else (low,)
        return [choice | end for choice in product(*choices) for end in ends]

    def identity(self) -> dict[str, Any]:
        """Returns what distinguishes a search, as JSON; `trials` may change."""
        from optuna.distributions import distribution_to_json

        space = self.distributions().items()
        texts = {field: distribution_to_json(values) for field, values in space}
        settings = {**vars(self), "space": {f: json.loads(t) for f, t in texts.items()}}
        del settings["trials"]
        return settings
