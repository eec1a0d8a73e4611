"""Submits a run to Slurm, as a job that is requeued until it is done.

python -m launch.slurm --nodes=2 --partition=… --minutes=… -- --config=… --workdir=…

The run saves and exits with 75 when Slurm takes its nodes away or its time is nearly
over; the batch script then has the job requeued.
"""

import contextlib
import io
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from launch import task
from launch.commands import TRAIN_FLAGS, workdir_of
from launch.follow import follow
from launch.supervisor import Job
from regen_jax import runner
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError
from regen_jax.extras import require

logger = logging.getLogger("launch")

_SETUP = """
# At a requeue or cancel Slurm ends this script too: the tasks need time to save.
trap ':' TERM
"""

_TEARDOWN = f"""
status=$?
job=${{SLURM_ARRAY_JOB_ID:+${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID}}
job=${{job:-$SLURM_JOB_ID}}
# {REQUEUE}: saved. 143: ended by SIGTERM before a task was ready for it.
if [ $status = {REQUEUE} ] || [ $status = 143 ]; then
  # A job that is cancelled, or that Slurm requeues itself, is in another state.
  if [ "$(squeue --noheader --jobs="$job" --format=%T)" = RUNNING ]; then
    echo "saved and stopped: job $job is requeued"
    scontrol requeue "$job"
  fi
fi
# Codes below {REQUEUE} come raised, so that srun reports them rather than {REQUEUE}.
if [ $status -gt {task.RAISED} ]; then
  status=$((status - {task.RAISED}))
fi
exit $status
"""


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


def parameters(name: str, after: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """Returns the arguments of `submitit.SlurmExecutor.update_parameters`.

    The options are named as the flags; `parallel` jobs of an array may run at once. A job
    starts after others ended well, and is removed if one did not.
    """
    minutes, cpus = options.pop("minutes", 60), options.get("cpus_per_task")
    directives = options.pop("directive", ())
    options |= {
        "job_name": name,
        "time": minutes,
        "ntasks_per_node": options.pop("tasks_per_node", 1),
        "gpus_per_task": options.get("gpus_per_task") or None,
        "array_parallelism": options.pop("parallel", None),
        "dependency": f"afterok:{':'.join(after)}" if after else None,
    }
    srun = ["--kill-on-bad-exit=1", "--open-mode=append", "--wait=0"]
    if cpus:  # which srun does not take from sbatch since 22.05
        srun.append(f"--cpus-per-task={cpus}")
    # The signal, to the tasks so that they save, may come a minute too early.
    additional = {"signal": f"TERM@{min(90, 15 * minutes)}", "requeue": True}
    if after:
        additional["kill_on_invalid_dep"] = "yes"
    for text in directives:
        key, equals, value = text.partition("=")
        if not key or not equals or "\n" in text:
            raise UserError(
                f"directive {text!r}: must be key=value, as in mem=16G, or key= for an "
                "option without a value"
            )
        additional[key.strip("- ").replace("-", "_")] = value or True
    return {
        **{name: value for name, value in options.items() if value is not None},
        "stderr_to_stdout": True,
        "setup": _SETUP.strip().splitlines(),
        "teardown": _TEARDOWN.strip().splitlines(),
        "srun_args": srun,
        "additional_parameters": additional,
    }


def submit(
    jobs: Sequence[Job],
    options: Mapping[str, Any],
    folder: Path,
    *,
    after: Sequence[str] = (),
    dry_run: bool = False,
) -> list[str]:
    """Submits jobs, several as one array, and returns their ids.

    Their first commands run in every task; the others after it, each in the first task
    alone, and only if those before ended with 0. Scripts, logs (of task T of job J
    `J_T_log.out`) and what jobs read go to the folder, which all nodes must see. A dry
    run prints the batch script and all commands instead, and needs no Slurm.

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
        print(executor._make_submission_file_text(executor._submitit_command_str, ""))
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
        account = f"--account={options.get('account')}"
        where = account if "account" in message.lower() else "Slurm refuses the job"
        raise UserError(f"{where}: {message}") from error
    for job, result in zip(jobs, submitted, strict=True):
        log = result.paths.stdout
        logger.info("job %s (%s): log in %s", result.job_id, job.name, log)
    return [result.job_id for result in submitted]


def _executor(folder: Path, dry_run: bool) -> Any:
    # submitit would set up logging of its own, here and in the jobs.
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    submitit = require("submitit", "launch", "Slurm")
    if dry_run:  # which needs no Slurm
        affinity = {"affinity": classmethod(lambda cls: 2)}
        return type("DryRun", (submitit.SlurmExecutor,), affinity)(folder)
    if not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError(
            "Slurm is not installed here (no sbatch and srun): python -m launch.local "
            "runs on this machine, and --dry_run shows what would be submitted"
        )
    return submitit.SlurmExecutor(folder)


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
    lines = re.sub(r"(?m)^(sbatch: |error: )+", "", output).splitlines()
    return "; ".join(x.strip() for x in lines if x.strip() and not x.startswith("Try "))


def main(rest: list[str]) -> int:
    """Runs the command."""
    if not any(argument.startswith("--config") for argument in rest):
        raise UserError(f"{TRAIN_FLAGS} are needed after --: -- --config=…")
    workdir = workdir_of(rest)
    job = Job(workdir.name, [[sys.executable, "-m", "regen_jax.train", *rest]])
    folder = workdir / "slurm"
    for number in submit([job], OPTIONS(), folder, dry_run=DRY_RUN.value):
        if FOLLOW.value:
            return follow(number, folder / f"{number}_0_log.out")
        logger.info("scancel %s ends it; --follow would show its progress", number)
    return 0


if __name__ == "__main__":
    OPTIONS = define_flags()
    DRY_RUN = flags.DEFINE_bool("dry_run", False, "print what would be submitted")
    FOLLOW = flags.DEFINE_bool("follow", False, "show its progress until it is over")
    runner.run(main, trailing=TRAIN_FLAGS)
