"""Short names of runs: what each changes against the others."""

import hashlib
import json
import re
from collections.abc import Sequence

from launch.algebra import Overrides, Value

LONGEST = 120


def names(sweep: Sequence[Overrides]) -> list[str]:
    """A name for each run, such as `abstraction=fsq,seed=1`: short, safe as a file.

    Only fields in which the runs differ are named, by the shortest end of their path
    that is unambiguous; a run that changes nothing is `default`. No two names are the
    same where no two runs are.
    """
    fields = list(dict.fromkeys(field for run in sweep for field in run))
    if len(sweep) > 1:
        fields = [f for f in fields if len({_exact(run, f) for run in sweep}) > 1]
    label = labels(fields)
    pairs = [
        [f"{label[field]}={_safe(run[field])}" for field in fields if field in run]
        for run in sweep
    ]
    identities = [json.dumps(dict(run), sort_keys=True) for run in sweep]
    return distinct([",".join(pair) or "default" for pair in pairs], identities)


def distinct(names: Sequence[str], identities: Sequence[str]) -> list[str]:
    """The names, with a digest of the identity where two are the same or one is long.

    Letters of either case count as the same, as they are on some file systems.
    """
    lowered = [name.lower() for name in names]
    return [
        name
        if len(name) <= LONGEST and lowered.count(name.lower()) == 1
        else f"{name[:LONGEST]}~{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
        for name, identity in zip(names, identities, strict=True)
    ]


def labels(fields: Sequence[str]) -> dict[str, str]:
    """Each field's shortest end of its path that no other has."""
    paths = {field: field.removeprefix(":").split(".") for field in fields}
    found = {}
    for field, path in paths.items():
        ends = (path[-length:] for length in range(1, len(path) + 1))
        others = [other for name, other in paths.items() if name != field]
        end = next(
            (e for e in ends if not any(o[-len(e) :] == e for o in others)), path
        )
        found[field] = ".".join(end)
    return found


def _exact(run: Overrides, field: str) -> str:
    return json.dumps(run[field]) if field in run else ""


def _safe(value: Value) -> str:
    text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII)
