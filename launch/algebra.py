"""A sweep as data: lists of overrides, made by pure functions. Imports nothing of JAX.

A run of a sweep is its overrides: a dict from a field of the config such as
`prior.top_p`, or a choice of the config's argument such as `:abstraction`, to a value. A
sweep is a list of them, in the order in which they start. What does not make sense is a
`UserError`.
"""

import dataclasses
import random
import re
from collections.abc import Mapping, Sequence

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.ranges import Count, Natural, Seed

Value = bool | int | float | str | tuple
Overrides = Mapping[str, Value]
Sweep = list[dict[str, Value]]


def over(field: str, *values: Value) -> Sweep:
    """A run for each value of one field."""
    _check_field(field)
    if not values:
        raise UserError(f"sweep: {field} is given no values")
    return checked([{field: value} for value in values])


def choose(name: str, *values: Value) -> Sweep:
    """A run for each value of `name=value` in the config's argument."""
    return over(f":{name}", *values)


def product(*sweeps: Sweep) -> Sweep:
    """Every run of the first with every run of the others; the last changes fastest."""
    runs = [{}]
    for sweep in sweeps:
        runs = [_joined(run, other) for run in runs for other in sweep]
    return checked(runs)


def zipped(*sweeps: Sweep) -> Sweep:
    """The first runs of all joined, the second ones, and so on."""
    lengths = [len(sweep) for sweep in sweeps]
    if len(set(lengths)) > 1:
        raise UserError(f"sweep: cannot zip sweeps of {lengths} runs: lengths differ")
    runs = []
    for parts in zip(*sweeps, strict=True):
        run = {}
        for part in parts:
            run = _joined(run, part)
        runs.append(run)
    return checked(runs)


def chain(*sweeps: Sweep) -> Sweep:
    """The runs of one after those of the other."""
    return checked([run for sweep in sweeps for run in sweep])


def sample(sweep: Sweep, number: int, seed: int) -> Sweep:
    """`number` different runs of a sweep, drawn uniformly, in their order there.

    The draw is the same on every machine and with every version of Python and NumPy.
    """
    if words := ranges.fault(Seed, seed):
        raise UserError(f"sweep: the seed of a sample {words}")
    if not 0 < number <= len(sweep):
        raise UserError(f"sweep: cannot sample {number} of {len(sweep)} runs")
    # Of all that `random` offers only the bits of `random()` are promised to stay.
    draw = random.Random(seed).random
    order = sorted(range(len(sweep)), key=[draw() for _ in sweep].__getitem__)
    return checked([sweep[i] for i in sorted(order[:number])])


def checked(sweep: Sequence[Overrides]) -> Sweep:
    """The same runs with tuples for lists; `UserError` where it is no sweep."""
    if not isinstance(sweep, Sequence) or isinstance(sweep, str):
        raise UserError(f"sweep: must be a list of overrides, not {sweep!r}")
    runs, seen = [], set()
    for run in sweep:
        if not isinstance(run, Mapping):
            raise UserError(f"sweep: a run is a dict of overrides, not {run!r}")
        for field in run:
            _check_field(field)
        run = {field: _plain(field, value) for field, value in run.items()}
        if (identity := frozenset(run.items())) in seen:
            raise UserError(f"sweep: holds the same run twice: {run}")
        seen.add(identity)
        runs.append(run)
    return runs


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; see `uniform` and the others."""

    field: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self):
        _check_field(self.field)
        kind = int if self.whole else float
        for end in (self.low, self.high):
            if words := ranges.fault(kind, end):
                raise UserError(f"search: an end of {self.field} {words}")
        if not self.low < self.high or (self.log and self.low <= 0):
            above = "above 0 and " if self.log else ""
            raise UserError(
                f"search: {self.field} needs a low end {above}below its high end, "
                f"not {self.low} and {self.high}"
            )


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of some values."""

    field: str
    values: tuple[Value, ...]

    def __post_init__(self):
        over(self.field, *self.values)


def uniform(field: str, low: float, high: float) -> Range:
    """A real number."""
    return Range(field, float(low), float(high))


def log_uniform(field: str, low: float, high: float) -> Range:
    """A real number whose logarithm is uniform."""
    return Range(field, float(low), float(high), log=True)


def integer(field: str, low: int, high: int, log: bool = False) -> Range:
    """A whole number; `log` prefers small ones."""
    return Range(field, low, high, log, whole=True)


def choice(field: str, *values: Value) -> Choice:
    """One of these values, of a field or of a choice such as `:abstraction`."""
    return Choice(field, values)


@dataclasses.dataclass(frozen=True)
class Search:
    """What a search varies, and what it wants.

    Attributes:
      space: fields that vary, each in its range.
      metric: one that `evaluate --split=validation` computes, also read while a run
        trains.
      maximize: whether more of it is better.
      trials: how many runs in all, those that failed or were pruned included.
      seed: of the sampler; it also sees the trials before.
      warmup_trials: whole runs before any is pruned.
    """

    space: Sequence[Range | Choice]
    metric: str
    maximize: bool = False
    trials: Count = 20
    seed: Seed = 0
    warmup_trials: Natural = 5

    def __post_init__(self):
        if not self.space or not all(
            isinstance(part, Range | Choice) for part in self.space
        ):
            raise UserError(
                "search: space must be a list of uniform, log_uniform, integer or choice"
            )
        fields = [part.field for part in self.space]
        for field in fields:
            if fields.count(field) > 1:
                raise UserError(f"search: space has {field} twice")
        for name in ("trials", "seed", "warmup_trials"):
            if type(value := getattr(self, name)) is not int:
                raise UserError(f"search: {name} must be an int, not {value!r}")
        try:
            ranges.check(self)
        except ValueError as error:
            raise UserError(f"search: {error}") from error


def _check_field(field: str) -> None:
    if not isinstance(field, str) or not re.fullmatch(
        r":[A-Za-z_]\w*|[A-Za-z_]\w*(\.\w+)*", field, re.ASCII
    ):
        raise UserError(
            f"sweep: {field!r} is no field: write prior.top_p, or :abstraction for a "
            "choice of the config's argument"
        )


def _joined(run: Overrides, other: Overrides) -> dict[str, Value]:
    if twice := run.keys() & other.keys():
        raise UserError(f"sweep: {', '.join(sorted(twice))} is set twice in one run")
    return {**run, **other}


def _plain(field: str, value: Value) -> Value:
    if isinstance(value, list | tuple):
        return tuple(_plain(field, part) for part in value)
    if type(value) in (bool, int, float, str):
        if words := ranges.fault(float, value):
            raise UserError(f"sweep: {field} {words}")
        return value
    raise UserError(
        f"sweep: {field} must be a number, text, bool or tuple of them, not {value!r}"
    )
