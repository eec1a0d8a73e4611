"""What a task of a Slurm job does: it runs its commands, and tells Slurm how they ended.

`submitit` pickles `run` by its name, so that jobs import this file.
"""

import os
import signal
import subprocess
from collections.abc import Sequence

from regen_jax.cli.exit_codes import REQUEUE

RAISED = 176
"""Added to the exit codes of failures that are below 75.

`srun` reports the highest code of all tasks. When one fails it ends the others, which
save and exit with 75, and that must not hide the failure: the job would be requeued, and
fail again, for ever. The batch script subtracts it.
"""


def run(commands: Sequence[Sequence[str]]) -> None:
    """Runs the first command in every task, the others after it in the first task.

    Never returns: leaves with the code of the command that failed, or 75 where the task
    was told to stop. Only the first command is expected to save by itself: the others
    are begun again after a requeue.
    """
    told: list[int] = []
    children: list[subprocess.Popen] = []

    def forward(number: int, _frame: object) -> None:
        # With cgroups Slurm signals tasks alone, and not what they have started.
        told.append(number)
        for child in children:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    # Of submitit, which would requeue by itself.
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    mine = commands if os.environ.get("SLURM_PROCID", "0") == "0" else commands[:1]
    for index, command in enumerate(mine):
        if told:
            os._exit(REQUEUE)
        environment = {
            name: value
            for name, value in os.environ.items()
            # The later ones are single processes, whatever the job is.
            if not index or not name.startswith(("SLURM", "PMI"))
        }
        with subprocess.Popen(command, env=environment) as child:
            children[:] = [child]
            for number in told:  # while it was started
                child.send_signal(number)
            code = child.wait()
        if code:
            os._exit(_reported(code, bool(told), later=index > 0))
    os._exit(0)


def _reported(code: int, told: bool, later: bool) -> int:
    """The code of the task, by that of a command that did not end well."""
    if code == REQUEUE or (told and (later or code == -signal.SIGTERM)):
        return REQUEUE  # killed by the signal is: before there was anything to save
    if code < 0:
        return 128 - code
    return code + RAISED if code < REQUEUE else code
