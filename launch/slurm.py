"""Submits a run to Slurm, as a job that is requeued until it is done.

python -m launch.slurm --nodes=2 --partition=… --minutes=… -- --config=… --workdir=…

The run saves and exits with 75 when Slurm takes its nodes away or its time is nearly
over; the batch script then has the job requeued, and it goes on where it stopped.
"""

import contextlib
import dataclasses
import io
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch import cli, task
from launch.batch import Job, SlurmOptions, parameters
from launch.extras import optional
from launch.follow import follow
from regen_jax.errors import UserError

logger = logging.getLogger("launch")


def define_flags() -> None:
    """The flags that `options_from_flags` reads."""
    flags.DEFINE_integer("nodes", 1, "of each job", lower_bound=1)
    flags.DEFINE_integer("tasks_per_node", 1, "processes of a node", lower_bound=1)
    flags.DEFINE_integer("gpus_per_task", 0, "GPUs of each process", lower_bound=0)
    flags.DEFINE_integer("cpus_per_task", None, "cores of each", lower_bound=1)
    flags.DEFINE_string("partition", None, "the site's default if not given")
    flags.DEFINE_integer("minutes", 60, "wall limit of a job", lower_bound=1)
    flags.DEFINE_string("account", None, "to be charged")
    flags.DEFINE_string("qos", None, "quality of service")
    flags.DEFINE_multi_string("directive", [], "of sbatch, as in mem=16G")


def options_from_flags() -> SlurmOptions:
    """The options that the command line gives; `UserError` for what is wrong there."""
    values = flags.FLAGS.flag_values_dict()
    given = {f.name: values[f.name] for f in dataclasses.fields(SlurmOptions)[:-2]}
    try:
        return SlurmOptions(**given, directives=tuple(values["directive"]))
    except ValueError as error:
        raise UserError(str(error)) from error


def submit(
    jobs: Sequence[Job],
    options: SlurmOptions,
    folder: Path,
    *,
    after: Sequence[str] = (),
    dry_run: bool = False,
) -> list[str]:
    """Submits jobs, several as one array, and returns their ids.

    Scripts, logs and what jobs read are in `folder`, which all nodes must see: the log
    of task T of job J is `J_T_log.out`.

    Args:
      after: ids of jobs that must end well before; if one does not, these are removed.
      dry_run: print the batch script and each job's commands instead; needs no Slurm.

    Raises `UserError` where Slurm refuses, is not there, or the folder cannot be written.
    """
    if "%" in str(folder):
        raise UserError(
            f"{folder} has %, which Slurm reads as a pattern in the names of logs: use "
            "another --workdir"
        )
    executor = _executor(folder, dry_run)
    executor.update_parameters(**parameters(jobs, options, after))
    if dry_run:
        print(_script(executor, len(jobs)))
        for index, job in enumerate(jobs):
            for number, command in enumerate(job.commands):
                tasks = "first task" if number else "every task"
                print(f"# {job.name} [{index}], {tasks}: {shlex.join(command)}")
        return []
    _check_partition(options.partition)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stderr(io.StringIO()):  # said again by the error
            submitted = executor.map_array(task.run, [job.commands for job in jobs])
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}") from error
    except RuntimeError as error:  # submitit's, with what sbatch said
        raise UserError(_refused(str(error), options)) from error
    for job, done in zip(jobs, submitted, strict=True):
        logger.info("job %s (%s): log in %s", done.job_id, job.name, done.paths.stdout)
    return [done.job_id for done in submitted]


def _executor(folder: Path, dry_run: bool) -> Any:
    # It would set up logging of its own, here and in the jobs.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    with optional():
        import submitit
    if not dry_run and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError(
            "Slurm is not installed here (no sbatch and srun): python -m launch.local "
            "runs on this machine, and --dry_run shows what would be submitted"
        )

    class Executor(submitit.SlurmExecutor):
        """One that can be made where there is no Slurm, for a dry run."""

        @classmethod
        def affinity(cls) -> int:
            return 2

    return Executor(folder)


def _script(executor: Any, count: int) -> str:
    """The batch script, as `submitit` writes it."""
    if count > 1:
        executor.parameters["map_count"] = count
    return executor._make_submission_file_text(executor._submitit_command_str, "")


def _check_partition(partition: str | None) -> None:
    known = subprocess.run(
        ["sinfo", "--noheader", "--format=%R"],
        check=False,
        capture_output=True,
        text=True,
    )
    if known.returncode:
        raise UserError(f"Slurm does not answer: {_line(known.stderr)}")
    names = sorted(set(known.stdout.split()))
    # Several may be named; jobs go to the first that has room.
    for name in (partition or "").split(","):
        if name and name not in names:
            raise UserError(
                f"--partition={name} is unknown: this cluster has {', '.join(names)}"
            )


def _refused(told: str, options: SlurmOptions) -> str:
    """One line of what sbatch said."""
    said = _line(told)
    if "account" in said.lower():
        return f"--account={options.account}: {said}"
    return f"Slurm refuses the job: {said}"


def _line(told: str) -> str:
    lines = [line.removeprefix("sbatch: ") for line in told.splitlines()]
    lines = [line.removeprefix("error: ").strip() for line in lines]
    return "; ".join(line for line in lines if line and not line.startswith("Try "))


def main(rest: list[str]) -> int:
    """The command."""
    if not any(argument.startswith("--config") for argument in rest):
        raise UserError("flags of regen_jax.train are needed after --: -- --config=…")
    workdir = cli.workdir_of(rest)
    job = Job(workdir.name, [[sys.executable, "-m", "regen_jax.train", *rest]])
    folder = workdir / "slurm"
    ids = submit([job], options_from_flags(), folder, dry_run=DRY_RUN.value)
    if not ids:
        return 0
    if FOLLOW.value:
        return follow(ids[0], folder / f"{ids[0]}_0_log.out")
    logger.info("scancel %s ends it; --follow would show its progress", ids[0])
    return 0


if __name__ == "__main__":
    define_flags()
    DRY_RUN = flags.DEFINE_bool("dry_run", False, "print what would be submitted")
    FOLLOW = flags.DEFINE_bool("follow", False, "show its progress until it is over")
    cli.run(main)
