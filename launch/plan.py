"""What runs share: a stage that is the same in several is trained once. Pure."""

import dataclasses
import graphlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from launch.algebra import distinct, names
from launch.configured import Configured, field_flag
from regen_jax.cli.workdir import READS

# Sections that every stage depends on; `READS` has the others.
COMMON = ("seed", "task", "data", "parallel")


@dataclasses.dataclass(frozen=True)
class Training:
    """One `regen_jax.train`: a run of the sweep, or what several of them, its users, share.

    The name is its folder below that of the sweep. The flags are all but the workdir and
    `--stop_after`, the last stage to train with its number of steps. The trainings that
    it needs, by name, must be finished before.
    """

    name: str
    flags: tuple[str, ...]
    needs: tuple[str, ...] = ()
    stop_after: tuple[str, int] | None = None
    users: tuple[str, ...] = ()


def stage_keys(run: Configured) -> dict[str, str]:
    """Returns by stage all that determines it and the stages before it, as text.

    Runs that train a stage with the same key get the same variables, bit for bit. How
    often a run logs, saves or evaluates is not part of it.
    """
    sections = {name: run.config[name] for name in COMMON}
    keys = {}
    for stage in run.stages:
        sections |= {name: run.config[name] for name in READS.get(stage, ())}
        sections[f"train.{stage}"] = run.config["train"][stage]
        keys[stage] = json.dumps(sections, sort_keys=True)
    return keys


def plan(runs: Sequence[Configured], workdir: Path) -> list[Training]:
    """Returns shared trainings and then the runs, in an order that respects needs."""
    shared = share(runs, workdir)
    own = [with_shared(run, shared, workdir) for run in runs]
    return [*dict.fromkeys(shared.values()), *own]


def share(runs: Sequence[Configured], workdir: Path) -> dict[str, Training]:
    """Returns what to train once, by the keys of the stages that runs take from it.

    These are the stages before a run's last one that are the same in two runs or more;
    those with the same users are trained together, in `shared/…` below `workdir`.
    """
    users = defaultdict(list)
    for run in runs:
        for stage, key in _shareable_keys(run).items():
            users[key].append((run, stage))
    # A stage's key holds those before it: its users are among theirs, and come later.
    groups = defaultdict(list)
    for key, members in users.items():
        if len(members) > 1:
            groups[tuple(run.name for run, _ in members)].append(key)

    shared: dict[str, Training] = {}
    labels = _labels([users[keys[-1]] for keys in groups.values()])
    for (user_names, keys), label in zip(groups.items(), labels, strict=True):
        run, stage = users[keys[-1]][0]
        training = dataclasses.replace(
            with_shared(run, shared, workdir),
            name=f"shared/{label}",
            stop_after=(stage, run.stages[stage]),
            users=user_names,
        )
        shared |= dict.fromkeys(keys, training)
    return shared


def with_shared(
    run: Configured, shared: Mapping[str, Training], workdir: Path
) -> Training:
    """Returns the training of a run that takes stages with the same keys from others."""
    keys = _shareable_keys(run).items()
    sources = {stage: shared[key].name for stage, key in keys if key in shared}
    flags = (
        field_flag(f"train.{stage}.init_from", str(workdir / name))
        for stage, name in sources.items()
    )
    return Training(
        run.name, (*run.flags, *flags), tuple(dict.fromkeys(sources.values()))
    )


def topological_levels(trainings: Sequence[Training]) -> list[list[Training]]:
    """Returns first trainings without needs, then those that need only these, etc."""
    by_name = {training.name: training for training in trainings}
    sorter = graphlib.TopologicalSorter(
        {name: by_name.keys() & training.needs for name, training in by_name.items()}
    )
    sorter.prepare()
    levels = []
    while ready := set(sorter.get_ready()):
        levels.append([by_name[name] for name in by_name if name in ready])
        sorter.done(*ready)
    return levels


def needed(trainings: Sequence[Training], names: set[str]) -> list[Training]:
    """Returns, of trainings in order, those of these names and all that they need."""
    names = set(names)
    for training in reversed(trainings):
        if training.name in names:
            names.update(training.needs)
    return [training for training in trainings if training.name in names]


def _shareable_keys(run: Configured) -> dict[str, str]:
    """Returns keys of all stages but the last, without those taken from elsewhere."""
    keys, train = stage_keys(run), run.config["train"]
    return {
        stage: keys[stage]
        for stage in list(run.stages)[:-1]
        if not train[stage].get("init_from")
    }


def _labels(groups: Sequence[Sequence[tuple[Configured, str]]]) -> list[str]:
    """Returns for each group its stage, and the overrides that only its users share."""
    stages = [members[0][1] for members in groups]
    common = [
        dict(set.intersection(*(set(run.overrides.items()) for run, _ in members)))
        for members in groups
    ]
    labels = list(stages)
    for stage in set(stages):
        same = [index for index, other in enumerate(stages) if other == stage]
        if len(same) > 1:
            for index, name in zip(same, names([common[i] for i in same]), strict=True):
                labels[index] = f"{stage},{name}"
    return distinct(labels, [repr(members) for members in groups])
