"""What jobs ask of Slurm, and the batch script that has them requeued."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from launch import task
from launch.supervisor import Job
from regen_jax import ranges
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.ranges import Count, Natural


@dataclasses.dataclass(frozen=True)
class SlurmOptions:
    """What a job asks for; None leaves it to the site.

    Attributes:
      nodes, tasks_per_node: each process of the run is one task.
      gpus_per_task, cpus_per_task: devices of each task.
      partition, account, qos: as `sbatch` takes them.
      minutes: the wall limit. Shortly before it the run saves and is requeued.
      directive: further options of `sbatch` as `key=value`, or `key=` for those without
        a value. They override all that is set here.
      parallel: number of jobs of an array that may run at once.
    """

    nodes: Count = 1
    tasks_per_node: Count = 1
    gpus_per_task: Natural = 0
    cpus_per_task: int | None = None
    partition: str | None = None
    minutes: Count = 60
    account: str | None = None
    qos: str | None = None
    directive: Sequence[str] = ()
    parallel: int | None = None

    def __post_init__(self):
        ranges.check(self)
        for directive in self.directive:
            key, equals, _ = directive.partition("=")
            if not key or not equals or "\n" in directive:
                raise ValueError(
                    f"directive {directive!r}: must be key=value, as in mem=16G, or key= "
                    "for an option without a value"
                )


def parameters(
    jobs: Sequence[Job], options: SlurmOptions, after: Sequence[str]
) -> dict[str, Any]:
    """Returns the arguments of `SlurmExecutor.update_parameters`."""
    settings = {
        "job_name": jobs[0].name if len(jobs) == 1 else "regen_jax",
        "time": options.minutes,
        "nodes": options.nodes,
        "ntasks_per_node": options.tasks_per_node,
        "gpus_per_task": options.gpus_per_task or None,
        "cpus_per_task": options.cpus_per_task,
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "array_parallelism": options.parallel,
        "dependency": f"afterok:{':'.join(after)}" if after else None,
    }
    srun = ["--kill-on-bad-exit=1", "--open-mode=append", "--wait=0"]
    if options.cpus_per_task:  # which srun does not take from sbatch since 22.05
        srun.append(f"--cpus-per-task={options.cpus_per_task}")
    additional: dict[str, Any] = {
        # To the tasks, so that they save; it may come a minute too early.
        "signal": f"TERM@{min(90, 15 * options.minutes)}",
        "requeue": True,
    }
    if after:
        additional["kill_on_invalid_dep"] = "yes"
    for directive in options.directive:
        key, _, value = directive.partition("=")
        additional[key.strip("- ").replace("-", "_")] = value or True
    return {
        **{name: value for name, value in settings.items() if value is not None},
        "stderr_to_stdout": True,
        "setup": _SETUP.strip().splitlines(),
        "teardown": _TEARDOWN.strip().splitlines(),
        "srun_args": srun,
        "additional_parameters": additional,
    }


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
