"""A sweep as data: lists of overrides, made by pure functions. Imports nothing of JAX.

A run of a sweep is its overrides: a dict from a field of the config such as
`prior.top_p`, or a choice of the config's argument such as `:abstraction`, to a value. A
sweep is a list of them, in the order in which they start. All functions raise `UserError`
for what is no sweep.
"""

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence

from regen_jax import ranges
from regen_jax.errors import UserError
from regen_jax.ranges import Seed

Value = bool | int | float | str | tuple
Overrides = Mapping[str, Value]
Sweep = list[dict[str, Value]]

MAX_NAME_LENGTH = 120


def grid(field: str, *values: Value) -> Sweep:
    """Returns a run per value of one field."""
    if not values:
        raise UserError(f"sweep: {field} has no values")
    return validate([{field: value} for value in values])


def config_choice(name: str, *values: Value) -> Sweep:
    """Returns a run per value of `name=value` in the config's argument."""
    return grid(f":{name}", *values)


def product(*sweeps: Sweep) -> Sweep:
    """Combines every run of each sweep with every run of the others, the last fastest."""
    runs = [{}]
    for sweep in sweeps:
        runs = [_join(run, other) for run in runs for other in sweep]
    return validate(runs)


def zip_(*sweeps: Sweep) -> Sweep:
    """Combines the first runs of all sweeps, the second ones, and so on."""
    lengths = [len(sweep) for sweep in sweeps]
    if len(set(lengths)) > 1:
        raise UserError(f"sweep: cannot zip sweeps of {lengths} runs: lengths differ")
    return validate([_join(*runs) for runs in zip(*sweeps, strict=True)])


def chain(*sweeps: Sweep) -> Sweep:
    """Returns the runs of each sweep after those of the one before."""
    return validate([run for sweep in sweeps for run in sweep])


def sample(sweep: Sweep, number: int, seed: int) -> Sweep:
    """Draws `number` different runs of a sweep uniformly, in their order there.

    The draw is the same on every machine and with every version of Python and NumPy.
    """
    if fault := ranges.fault(Seed, seed):
        raise UserError(f"sweep: the seed of a sample {fault}")
    if not 0 < number <= len(sweep):
        raise UserError(f"sweep: cannot sample {number} of {len(sweep)} runs")
    # Of all that `random` offers only the bits of `random()` are promised to stay.
    draw = random.Random(seed).random
    order = sorted(range(len(sweep)), key=[draw() for _ in sweep].__getitem__)
    return validate([sweep[index] for index in sorted(order[:number])])


def validate(sweep: Sequence[Overrides]) -> Sweep:
    """Returns a sweep with tuples for lists.

    Raises:
      UserError: it is no list of dicts from fields to values, or holds a run twice.
    """
    if not isinstance(sweep, Sequence) or isinstance(sweep, str):
        raise UserError(f"sweep: must be a list of overrides, not {sweep!r}")
    runs: Sweep = []
    for run in sweep:
        if not isinstance(run, Mapping):
            raise UserError(f"sweep: a run is a dict of overrides, not {run!r}")
        runs.append({check_field(field): to_value(field, run[field]) for field in run})
    distinct = {frozenset(run.items()): run for run in reversed(runs)}
    if twice := [run for run in runs if distinct[frozenset(run.items())] is not run]:
        raise UserError(f"sweep: holds the same run twice: {twice[0]}")
    return runs


def check_field(field: str) -> str:
    """Returns the name of a field or choice; `UserError` if it is none."""
    if isinstance(field, str) and re.fullmatch(
        r":[A-Za-z_]\w*|[A-Za-z_]\w*(\.\w+)*", field, re.ASCII
    ):
        return field
    raise UserError(
        f"sweep: {field!r} is no field: write prior.top_p, or :abstraction for a choice "
        "of the config's argument"
    )


def to_value(field: str, value: object) -> Value:
    """Returns a value with tuples for lists; `UserError` if a config cannot hold it."""
    if isinstance(value, list | tuple):
        return tuple(to_value(field, part) for part in value)
    if type(value) not in (bool, int, float, str):
        raise UserError(
            f"sweep: {field} must be a number, text, bool or tuple of them, not {value!r}"
        )
    if fault := ranges.fault(float, value):
        raise UserError(f"sweep: {field} {fault}")
    return value


def _join(*runs: Overrides) -> dict[str, Value]:
    joined: dict[str, Value] = {}
    for run in runs:
        if twice := ", ".join(sorted(run.keys() & joined.keys())):
            raise UserError(f"sweep: {twice} is set twice in one run")
        joined |= run
    return joined


def names(sweep: Sequence[Overrides]) -> list[str]:
    """Returns a name per run, such as `abstraction=fsq,seed=1`: short, valid as a file.

    Only fields in which the runs differ are named, by the shortest end of their path
    that is unambiguous; a run that changes nothing is `default`. Different runs have
    different names.
    """
    fields = list(dict.fromkeys(field for run in sweep for field in run))
    if len(sweep) > 1:
        fields = [f for f in fields if len({_text(run, f) for run in sweep}) > 1]
    label = labels(fields)
    pairs = [
        [f"{label[field]}={_file_safe(run[field])}" for field in fields if field in run]
        for run in sweep
    ]
    identities = [json.dumps(dict(run), sort_keys=True) for run in sweep]
    return distinct([",".join(pair) or "default" for pair in pairs], identities)


def distinct(names: Sequence[str], identities: Sequence[str]) -> list[str]:
    """Appends a digest of the identity to names that are the same or too long.

    Letters of either case count as the same, as they are on some file systems.
    """
    lowered = [name.lower() for name in names]
    return [
        name
        if len(name) <= MAX_NAME_LENGTH and lowered.count(name.lower()) == 1
        else f"{name[:MAX_NAME_LENGTH]}~{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
        for name, identity in zip(names, identities, strict=True)
    ]


def labels(fields: Sequence[str]) -> dict[str, str]:
    """Returns by field the shortest end of its path that no other field has."""
    paths = {field: field.removeprefix(":").split(".") for field in fields}
    ends = {}
    for field, path in paths.items():
        others = [other for name, other in paths.items() if name != field]
        lengths = range(1, len(path))
        unique = (n for n in lengths if all(o[-n:] != path[-n:] for o in others))
        ends[field] = ".".join(path[-next(unique, len(path)) :])
    return ends


def _text(run: Overrides, field: str) -> str:
    return json.dumps(run[field]) if field in run else ""


def _file_safe(value: Value) -> str:
    text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII)
