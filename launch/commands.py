"""Command lines of runs and sweeps."""

import dataclasses
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.plan import Training
from launch.supervisor import Job
from regen_jax import paths
from regen_jax.errors import UserError

TRAIN_FLAGS = "flags of regen_jax.train"


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of `launch.sweep`.

    Attributes:
      config: config file, and its argument after a colon.
      sweep: the sweep file.
      workdir: the folder of the sweep.
      on: `local` or `slurm`.
      parallel: number of runs at a time; None is one here, and no limit under Slurm.
      processes: number of processes of each run here.
      only: names of the runs to run; empty for all.
      dry_run: whether to print the commands only.
      split: what finished runs are evaluated on; runs that are compared to choose one
        of them must not read `test`.
      slurm: what each job asks of Slurm, as of `batch.parameters`.
      extra: fields of the config for all runs, from after `--`.
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
    slurm: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extra: Sequence[str] = ()


def commands_of(training: Training, options: Options) -> list[list[str]]:
    """Returns the commands of a training, each for one process."""
    workdir = f"--workdir={options.workdir / training.name}"
    train = [sys.executable, "-m", "regen_jax.train", *training.flags, workdir]
    if training.stop_after:
        return [[*train, f"--stop_after={training.stop_after[0]}"]]
    evaluate = [sys.executable, "-m", "regen_jax.evaluate", workdir]
    return [train, [*evaluate, f"--split={options.split}"]]


def job_of(training: Training, options: Options) -> Job:
    """Returns a training as a job of this machine."""
    train, *others = commands_of(training, options)
    if options.processes > 1:
        launcher = [sys.executable, "-m", "launch.local"]
        train = [*launcher, f"--processes={options.processes}", "--", *train[3:]]
    folder = options.workdir / training.name
    return Job(training.name, [train, *others], folder, training.needs)


def rerun(options: Options, name: str) -> str:
    """Returns the shell command that runs one run of the sweep alone."""
    flags = [
        f"--config={options.config}",
        f"--sweep={options.sweep}",
        f"--workdir={options.workdir}",
        f"--only={name}",
    ]
    if options.processes > 1:
        flags.append(f"--processes={options.processes}")
    if options.split != Options.split:
        flags.append(f"--split={options.split}")
    extra = ["--", *options.extra] if options.extra else []
    return shlex.join(["python", "-m", "launch.sweep", *flags, *extra])


def workdir_of(arguments: Sequence[str]) -> Path:
    """Returns the --workdir among flags of `regen_jax.train`.

    Raises:
      UserError: there is none, or checkpoints cannot be stored in it.
    """
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.lstrip("-").partition("=")
        if name == "workdir" and argument.startswith("-") and (value or not equals):
            return paths.storable(value or following, "--workdir")
    raise UserError("--workdir is needed: the folder of the run, as in runs/demo")
