"""What a job asks of Slurm, and the batch script that has it requeued."""

from collections.abc import Sequence
from typing import Any

from launch.task import RAISED
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError


def parameters(
    name: str,
    after: Sequence[str] = (),
    *,
    minutes: int = 60,
    tasks_per_node: int = 1,
    gpus_per_task: int = 0,
    cpus_per_task: int | None = None,
    parallel: int | None = None,
    directive: Sequence[str] = (),
    **options: Any,
) -> dict[str, Any]:
    """Returns the arguments of `submitit.SlurmExecutor.update_parameters`.

    Args:
      name: the name that `squeue` shows.
      after: ids of jobs that must end well before; if one does not, these are removed.
      minutes: the wall limit; shortly before it the run saves and is requeued.
      tasks_per_node: each process of the run is one task.
      gpus_per_task, cpus_per_task: devices of each task.
      parallel: number of jobs of an array that may run at once.
      directive: further options of `sbatch` as `key=value`, or `key=` for those without
        a value; they override all others.
      **options: `nodes`, `partition`, `account` and `qos` as `sbatch` takes them; None
        leaves it to the site.

    Raises:
      UserError: a directive is no `key=value`.
    """
    options |= {
        "job_name": name,
        "time": minutes,
        "ntasks_per_node": tasks_per_node,
        "gpus_per_task": gpus_per_task or None,
        "cpus_per_task": cpus_per_task,
        "array_parallelism": parallel,
        "dependency": f"afterok:{':'.join(after)}" if after else None,
    }
    srun = ["--kill-on-bad-exit=1", "--open-mode=append", "--wait=0"]
    if cpus_per_task:  # which srun does not take from sbatch since 22.05
        srun.append(f"--cpus-per-task={cpus_per_task}")
    # The signal, to the tasks so that they save, may come a minute too early.
    additional = {"signal": f"TERM@{min(90, 15 * minutes)}", "requeue": True}
    if after:
        additional["kill_on_invalid_dep"] = "yes"
    for text in directive:
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
if [ $status -gt {RAISED} ]; then
  status=$((status - {RAISED}))
fi
exit $status
"""
