"""Runs the commands of one task of a Slurm job; `submitit` pickles `run` by its name."""

import os
import signal
from collections.abc import Sequence

from launch.supervisor import ProcessGroup, Supervisor
from regen_jax.cli.exit_codes import REQUEUE

RAISED = 176
"""Added to the exit codes of failures that are below 75.

`srun` reports the highest code of all tasks. When one fails it ends the others, which
save and exit with 75, and that must not hide the failure: the job would be requeued, and
fail again, for ever. The batch script subtracts it.
"""


def run(commands: Sequence[Sequence[str]]) -> None:
    """Runs the first command in every task, the others after it in the first task.

    Exits with the code of the command that failed, or 75 after a signal to stop. Only the
    first command is expected to save by itself: the others begin again after a requeue.
    """
    # Handlers of submitit, which would requeue by itself.
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    supervisor = Supervisor()
    os._exit(supervisor.run(_run_all(commands, supervisor)))


async def _run_all(commands: Sequence[Sequence[str]], supervisor: Supervisor) -> int:
    is_first = os.environ.get("SLURM_PROCID", "0") == "0"
    for index, command in enumerate(commands if is_first else commands[:1]):
        if supervisor.received:
            return REQUEUE
        environment = {
            name: value
            for name, value in os.environ.items()
            # Later commands are single processes, whatever the job is.
            if not index or not name.startswith(("SLURM", "PMI"))
        }
        # With cgroups Slurm signals tasks alone, and not their children.
        group = ProcessGroup(command, [environment])
        if code := await supervisor.run_group(group):
            return _reported(code, bool(supervisor.received), later=index > 0)
    return 0


def _reported(code: int, stopped: bool, later: bool) -> int:
    """Returns the code of the task for that of a command that failed or was stopped."""
    # A command killed by SIGTERM was not ready for it: there was nothing to save.
    if code == REQUEUE or (stopped and (later or code == 128 + signal.SIGTERM)):
        return REQUEUE
    return code + RAISED if code < REQUEUE else code
