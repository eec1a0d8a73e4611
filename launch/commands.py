"""The commands that a sweep consists of."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.plan import Training
from launch.pool import Job


@dataclasses.dataclass(frozen=True)
class Options:
    """The command's flags, and in `extra` what stands after `--`.

    `parallel` is how many runs there may be at a time; None is one here, and as many as
    Slurm lets. `split` is what finished runs are evaluated on: runs that are compared to
    choose one of them must not read `test`.
    """

    config: str
    sweep: Path
    workdir: Path
    on: str = "local"
    parallel: int | None = None
    processes: int = 1
    only: Sequence[str] = ()
    dry_run: bool = False
    split: str = "validation"
    extra: Sequence[str] = ()


def commands_of(training: Training, options: Options) -> list[list[str]]:
    """The commands of a training, each for one process."""
    workdir = f"--workdir={options.workdir / training.name}"
    train = [sys.executable, "-m", "regen_jax.train", *training.flags, workdir]
    if training.stop_after:
        return [[*train, f"--stop_after={training.stop_after[0]}"]]
    evaluate = [sys.executable, "-m", "regen_jax.evaluate", workdir]
    return [train, [*evaluate, f"--split={options.split}"]]


def job_of(training: Training, options: Options) -> Job:
    """A training as children of this process."""
    train, *others = commands_of(training, options)
    if options.processes > 1:
        gang = [sys.executable, "-m", "launch.local"]
        train = [*gang, f"--processes={options.processes}", "--", *train[3:]]
    return Job(
        training.name,
        options.workdir / training.name,
        tuple(map(tuple, [train, *others])),
        training.needs,
    )


def rerun(options: Options, name: str) -> str:
    """The command that runs one run of the sweep alone."""
    given = [
        f"--config={options.config}",
        f"--sweep={options.sweep}",
        f"--workdir={options.workdir}",
        f"--only={name}",
    ]
    if options.processes > 1:
        given.append(f"--processes={options.processes}")
    if options.split != Options.split:
        given.append(f"--split={options.split}")
    extra = ["--", *options.extra] if options.extra else []
    return shlex.join(["python", "-m", "launch.sweep", *given, *extra])
