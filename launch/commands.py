"""Command lines of runs and sweeps."""

import dataclasses
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.algebra import Overrides
from launch.configured import Configured, configure, flags_of
from launch.plan import Training
from launch.supervisor import Job, shell_line
from regen_jax import paths
from regen_jax.errors import UserError

TRAIN_FLAGS = "flags of regen_jax.train"


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of `launch.sweep`, those of `slurm`, and `extra` fields of all configs."""

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

    def memory(self, **content: Any) -> dict[str, Any]:
        """Returns what `sweep.json` remembers of a sweep or search."""
        return {"config": self.config, "fields": list(self.extra), **content}


def configure_run(name: str, overrides: Overrides, options: Options) -> Configured:
    """Builds the config of one run, with its data if it runs here."""
    flags = flags_of(options.config, overrides, options.extra)
    return configure(name, overrides, flags, data=options.on == "local")


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


def print_plan(options: Options, trainings: Sequence[Training]) -> None:
    """Prints every command that would run, in order."""
    for training in trainings:
        print(f"\n# {training.name}")
        if training.users:
            stage = training.stop_after[0]
            print(f"# trains up to {stage} for {' '.join(training.users)}")
        if training.needs:
            print(f"# after {' '.join(training.needs)}")
        if options.on == "local":
            for command in job_of(training, options).commands:
                print(shell_line(command))


def rerun(options: Options, name: str) -> str:
    """Returns the shell command that runs one run of the sweep alone."""
    values = vars(options) | {"only": name}
    flags = [
        f"--{flag}={values[flag]}" for flag in ("config", "sweep", "workdir", "only")
    ]
    for flag in ("processes", "split"):
        if values[flag] != getattr(Options, flag):
            flags.append(f"--{flag}={values[flag]}")
    extra = ["--", *options.extra] if options.extra else []
    return shlex.join(["python", "-m", "launch.sweep", *flags, *extra])


def workdir_of(arguments: Sequence[str]) -> Path:
    """Returns the --workdir among flags of `regen_jax.train`.

    Raises:
      UserError: there is none, or checkpoints cannot be stored in it.
    """
    match = re.search(r"(?:^|\0)--?workdir[=\0]([^\0]+)", "\0".join(arguments))
    if not match:
        raise UserError("--workdir is needed: the folder of the run, as in runs/demo")
    return paths.storable(match[1], "--workdir")
