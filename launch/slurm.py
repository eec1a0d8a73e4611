"""Submits a run to Slurm, as a job that is requeued until it is done.

python -m launch.slurm --nodes=2 --partition=… --minutes=… -- --config=… --workdir=…

The run saves and exits with 75 when Slurm takes its nodes away or its time is nearly
over; the batch script then has the job requeued, and it goes on where it stopped.
"""

import contextlib
import io
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch import task
from launch.batch import parameters
from launch.commands import TRAIN_FLAGS, workdir_of
from launch.follow import follow
from launch.supervisor import Job
from regen_jax.cli import runner
from regen_jax.errors import UserError
from regen_jax.extras import require

logger = logging.getLogger("launch")


def define_flags() -> Callable[[], dict[str, Any]]:
    """Defines flags of the options of a job; returns what reads them as a dict."""
    holders = [
        flags.DEFINE_integer("nodes", 1, "of each job", lower_bound=1),
        flags.DEFINE_integer("tasks_per_node", 1, "processes of a node", lower_bound=1),
        flags.DEFINE_integer("gpus_per_task", 0, "GPUs of each process", lower_bound=0),
        flags.DEFINE_integer("cpus_per_task", None, "cores of each", lower_bound=1),
        flags.DEFINE_string("partition", None, "the site's default if not given"),
        flags.DEFINE_integer("minutes", 60, "wall limit of a job", lower_bound=1),
        flags.DEFINE_string("account", None, "to be charged"),
        flags.DEFINE_string("qos", None, "quality of service"),
        flags.DEFINE_multi_string("directive", [], "of sbatch, as in mem=16G"),
    ]
    return lambda: {holder.name: holder.value for holder in holders}


def submit(
    jobs: Sequence[Job],
    options: Mapping[str, Any],
    folder: Path,
    *,
    after: Sequence[str] = (),
    dry_run: bool = False,
) -> list[str]:
    """Submits jobs, several as one array, and returns their ids.

    Args:
      jobs: their first commands run in every task; the others after it, each in the
        first task alone, and only if those before ended with 0.
      options: what each of them asks for, as of `batch.parameters`.
      folder: of scripts, logs and what jobs read, which all nodes must see; the log of
        task T of job J is `J_T_log.out`.
      after: ids of jobs that must end well before; if one does not, these are removed.
      dry_run: prints the batch script and each job's commands instead; needs no Slurm.

    Raises:
      UserError: Slurm refuses, is not there, or the folder cannot be written.
    """
    if "%" in str(folder):
        raise UserError(
            f"{folder} has %, which Slurm reads as a pattern in the names of logs: use "
            "another --workdir"
        )
    name = jobs[0].name if len(jobs) == 1 else "regen_jax"
    settings = parameters(name, after, **options)
    executor = _executor(folder, dry_run)
    executor.update_parameters(**settings)
    if dry_run:
        if len(jobs) > 1:
            executor.parameters["map_count"] = len(jobs)
        command = executor._submitit_command_str
        print(executor._make_submission_file_text(command, ""))
        for index, job in enumerate(jobs):
            for number, command in enumerate(job.commands):
                tasks = "first task" if number else "every task"
                print(f"# {job.name} [{index}], {tasks}: {shlex.join(command)}")
        return []
    _check_partition(options.get("partition"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stderr(io.StringIO()):  # the error repeats it
            submitted = executor.map_array(task.run, [job.commands for job in jobs])
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}") from error
    except RuntimeError as error:  # submitit's, with what sbatch wrote
        message = _one_line(str(error))
        if "account" in message.lower():
            raise UserError(f"--account={options.get('account')}: {message}") from error
        raise UserError(f"Slurm refuses the job: {message}") from error
    for job, result in zip(jobs, submitted, strict=True):
        log = result.paths.stdout
        logger.info("job %s (%s): log in %s", result.job_id, job.name, log)
    return [result.job_id for result in submitted]


def _executor(folder: Path, dry_run: bool) -> Any:
    # submitit would set up logging of its own, here and in the jobs.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    submitit = require("submitit", "launch", "Slurm")
    if not dry_run and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError(
            "Slurm is not installed here (no sbatch and srun): python -m launch.local "
            "runs on this machine, and --dry_run shows what would be submitted"
        )

    class Executor(submitit.SlurmExecutor):
        """An executor that can be made where there is no Slurm, for a dry run."""

        @classmethod
        def affinity(cls) -> int:
            return 2

    return Executor(folder)


def _check_partition(partition: str | None) -> None:
    command = ["sinfo", "--noheader", "--format=%R"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        raise UserError(f"Slurm does not answer: {_one_line(result.stderr)}")
    known = sorted(set(result.stdout.split()))
    # Several may be named; jobs go to the first that has room.
    for name in (partition or "").split(","):
        if name and name not in known:
            raise UserError(
                f"--partition={name} is unknown: this cluster has {', '.join(known)}"
            )


def _one_line(output: str) -> str:
    """Returns what sbatch or sinfo wrote on one line, without advice to try `--help`."""
    lines = [line.removeprefix("sbatch: ") for line in output.splitlines()]
    lines = [line.removeprefix("error: ").strip() for line in lines]
    return "; ".join(line for line in lines if line and not line.startswith("Try "))


def main(rest: list[str]) -> int:
    """Runs the command."""
    if not any(argument.startswith("--config") for argument in rest):
        raise UserError(f"{TRAIN_FLAGS} are needed after --: -- --config=…")
    workdir = workdir_of(rest)
    job = Job(workdir.name, [[sys.executable, "-m", "regen_jax.train", *rest]])
    folder = workdir / "slurm"
    ids = submit([job], OPTIONS(), folder, dry_run=DRY_RUN.value)
    if not ids:
        return 0
    if FOLLOW.value:
        return follow(ids[0], folder / f"{ids[0]}_0_log.out")
    logger.info("scancel %s ends it; --follow would show its progress", ids[0])
    return 0


if __name__ == "__main__":
    OPTIONS = define_flags()
    DRY_RUN = flags.DEFINE_bool("dry_run", False, "print what would be submitted")
    FOLLOW = flags.DEFINE_bool("follow", False, "show its progress until it is over")
    runner.run(main, trailing=TRAIN_FLAGS)
