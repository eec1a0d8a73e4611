"""What the runs of a sweep share: a stage that is the same in several is trained once.

Pure: nothing is read or written here.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from launch.configured import Configured, field_flag
from launch.naming import distinct, names
from regen_jax.cli.workdir import READS

COMMON = ("seed", "task", "data", "parallel")
"""Sections that every stage depends on; `READS` has the others."""


@dataclasses.dataclass(frozen=True)
class Training:
    """One `regen_jax.train`: a run of the sweep, or what several of them share.

    Attributes:
      name: its folder below that of the sweep.
      flags: all but the workdir and `--stop_after`.
      needs: names of shared ones that must be finished before.
      stop_after: the last stage to train, and the steps it takes; None for all stages.
      users: names of the runs that share it.
    """

    name: str
    flags: tuple[str, ...]
    needs: tuple[str, ...] = ()
    stop_after: tuple[str, int] | None = None
    users: tuple[str, ...] = ()


def stage_keys(run: Configured) -> dict[str, str]:
    """What determines each stage of a run, and those trained before it, as text.

    Whoever trains a stage with the same key gets the same variables, bit for bit. How
    often a run logs, saves or evaluates is not part of it.
    """
    known = {section: run.config[section] for section in COMMON}
    keys = {}
    for stage in run.stages:
        known |= {section: run.config[section] for section in READS.get(stage, ())}
        known[f"train.{stage}"] = run.config["train"][stage]
        keys[stage] = json.dumps(known, sort_keys=True)
    return keys


def plan(runs: Sequence[Configured], workdir: Path) -> list[Training]:
    """Shared trainings and then the runs, in an order in which each can be started."""
    shared = share(runs, workdir)
    alone = [taking(run, shared, workdir) for run in runs]
    return [*dict.fromkeys(shared.values()), *alone]


def share(runs: Sequence[Configured], workdir: Path) -> dict[str, Training]:
    """What to train once, by the keys of the stages that others take from it.

    These are the stages before a run's last one that are the same in two runs or more;
    those with the same users are trained together, in `shared/…` below `workdir`.
    """
    users = defaultdict(list)
    for run in runs:
        for key in _keys_to_share(run).values():
            users[key].append(run)
    # A stage's key holds those before it: its users are among theirs, and come later.
    groups = defaultdict(list)
    for key, found in users.items():
        if len(found) > 1:
            groups[tuple(run.name for run in found)].append(key)

    members = [(users[keys[0]], keys) for keys in groups.values()]
    shared = {}
    for (found, keys), label in zip(members, _labels(members), strict=True):
        training = taking(found[0], shared, workdir)
        last = _stage(found[0], keys[-1])
        training = dataclasses.replace(
            training,
            name=f"shared/{label}",
            stop_after=(last, found[0].stages[last]),
            users=tuple(run.name for run in found),
        )
        shared |= dict.fromkeys(keys, training)
    return shared


def taking(run: Configured, shared: Mapping[str, Training], workdir: Path) -> Training:
    """The run, taking from shared trainings the stages that have the same keys."""
    found = {
        stage: shared[key]
        for stage, key in _keys_to_share(run).items()
        if key in shared
    }
    taken = (
        field_flag(f"train.{stage}.init_from", str(workdir / other.name))
        for stage, other in found.items()
    )
    needs = tuple(dict.fromkeys(other.name for other in found.values()))
    return Training(run.name, (*run.flags, *taken), needs)


def waves(trainings: Sequence[Training]) -> list[list[Training]]:
    """Those that need nothing of the others, then those that need only these, …"""
    depth = {}
    for training in trainings:
        needed = [depth[name] for name in training.needs if name in depth]
        depth[training.name] = max(needed, default=-1) + 1
    result = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for training in trainings:
        result[depth[training.name]].append(training)
    return result


def needed(trainings: Sequence[Training], wanted: set[str]) -> list[Training]:
    """Of trainings in order, those of these names and all that they need."""
    wanted = set(wanted)
    for training in reversed(trainings):
        if training.name in wanted:
            wanted.update(training.needs)
    return [training for training in trainings if training.name in wanted]


def _keys_to_share(run: Configured) -> dict[str, str]:
    """Keys of all stages but the last, and those that the user has taken elsewhere."""
    keys, train = stage_keys(run), run.config["train"]
    return {
        stage: keys[stage]
        for stage in list(run.stages)[:-1]
        if not train[stage].get("init_from")
    }


def _stage(run: Configured, key: str) -> str:
    return next(stage for stage, other in stage_keys(run).items() if other == key)


def _labels(members: Sequence[tuple[Sequence[Configured], Sequence[str]]]) -> list[str]:
    """The last stage of each, and what its users set alike and those of others do not."""
    stages = [_stage(runs[0], keys[-1]) for runs, keys in members]
    labels = list(stages)
    for stage in set(stages):
        same = [i for i, other in enumerate(stages) if other == stage]
        alike = [
            dict(set.intersection(*(set(run.overrides.items()) for run in runs)))
            for runs, _ in (members[i] for i in same)
        ]
        if len(same) > 1:
            for i, name in zip(same, names(alike), strict=True):
                labels[i] = f"{stage},{name}"
    return distinct(labels, [keys[-1] for _, keys in members])
