"""Short names of runs, by what each changes."""

import hashlib
import json
import re
from collections.abc import Sequence

from launch.algebra import Overrides, Value

MAX_LENGTH = 120


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
        if len(name) <= MAX_LENGTH and lowered.count(name.lower()) == 1
        else f"{name[:MAX_LENGTH]}~{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
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
