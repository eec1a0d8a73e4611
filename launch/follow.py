"""Shows a Slurm job's progress: its states and the log of its first process."""

import dataclasses
import logging
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

from regen_jax.errors import UserError

POLL_SECONDS = 5.0
"""Between two questions to Slurm; its log is read more often."""

OVER = set(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ]
)
"""States of a job that has ended."""

logger = logging.getLogger("launch")


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a job as Slurm reports it."""

    name: str
    reason: str
    nodes: str
    restarts: int
    code: int

    def __str__(self) -> str:
        where = f" on {self.nodes}" if self.name == "RUNNING" else ""
        why = f" ({self.reason})" if self.name == "PENDING" else ""
        requeues = f", requeues: {self.restarts}" if self.restarts else ""
        return f"{self.name}{where}{why}{requeues}"


def follow(job: str, log: Path, out: TextIO | None = None) -> int:
    """Shows a job's log and states until it is over, over any number of requeues.

    Returns:
      The job's exit code (128 + the number of a signal); 1 if it ended without one and
      not well, such as a cancelled job; 130 after Ctrl-C, which ends only the showing.
    """
    out = out or sys.stdout
    position, shown, over = 0, "", False
    try:
        while True:
            state = read(job)
            if str(state) != shown:
                shown = str(state)
                logger.info("job %s: %s", job, shown)
            for _ in range(10):
                position = _copy_lines(log, position, out)
                if over:
                    break
                time.sleep(POLL_SECONDS / 10)
            if state.name in OVER and over:
                return state.code or int(state.name != "COMPLETED")
            # Between the end of a job and its requeue it is over for a moment.
            over = state.name in OVER
    except KeyboardInterrupt:
        logger.info("job %s goes on; scancel %s ends it", job, job)
        return 130


def read(job: str) -> State:
    """Asks Slurm for the state of a job; `UserError` if it does not know the job."""
    command = ["scontrol", "--oneliner", "show", "job", job]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        message = " ".join(result.stderr.split())
        raise UserError(f"Slurm does not know job {job}: {message}")
    fields = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", result.stdout.splitlines()[0]))
    code, _, number = fields["ExitCode"].partition(":")
    return State(
        fields["JobState"],
        fields["Reason"],
        fields.get("NodeList", ""),
        int(fields.get("Restarts", 0)),
        128 + int(number) if int(number or 0) else int(code),
    )


def _copy_lines(log: Path, start: int, out: TextIO) -> int:
    """Copies complete lines of the log from a position on; returns where they end."""
    if not log.exists():
        return start
    with log.open("rb") as file:
        file.seek(start)
        lines, newline, _ = file.read().rpartition(b"\n")
    out.write((lines + newline).decode(errors="replace"))
    out.flush()
    return start + len(lines + newline)
