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

OVER = {
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
}

logger = logging.getLogger("launch")


@dataclasses.dataclass(frozen=True)
class State:
    """What Slurm says of a job."""

    name: str
    reason: str
    nodes: str
    restarts: int
    code: int

    def __str__(self) -> str:
        where = f" on {self.nodes}" if self.name == "RUNNING" else ""
        why = f" ({self.reason})" if self.name == "PENDING" else ""
        again = f", requeues: {self.restarts}" if self.restarts else ""
        return f"{self.name}{where}{why}{again}"


def follow(job: str, log: Path, out: TextIO | None = None) -> int:
    """Shows it until the job is over, over any number of requeues.

    Returns the job's exit code (128 + the number of a signal), 1 where it ended without
    one and not well, such as a cancelled one. Ctrl-C ends only the showing.
    """
    out = out or sys.stdout
    shown, seen, over = 0, "", False
    try:
        while True:
            state = read(job)
            if str(state) != seen:
                seen = str(state)
                logger.info("job %s: %s", job, seen)
            for _ in range(10):
                shown = _show(log, shown, out)
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
    """Asks Slurm; `UserError` where it does not know the job."""
    done = subprocess.run(
        ["scontrol", "--oneliner", "show", "job", job],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise UserError(
            f"Slurm tells nothing of job {job}: {' '.join(done.stderr.split())}"
        )
    fields = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", done.stdout.splitlines()[0]))
    code, _, number = fields["ExitCode"].partition(":")
    return State(
        fields["JobState"],
        fields["Reason"],
        fields.get("NodeList", ""),
        int(fields.get("Restarts", 0)),
        128 + int(number) if int(number or 0) else int(code),
    )


def _show(log: Path, start: int, out: TextIO) -> int:
    """Shows whole lines of the log from there; returns where they end."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            new = file.read()
    except FileNotFoundError:
        return start
    whole = new[: new.rfind(b"\n") + 1]
    out.write(whole.decode(errors="replace"))
    out.flush()
    return start + len(whole)
