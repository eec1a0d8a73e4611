"""Shows a Slurm job's progress: its states and the log of its first process."""

import logging
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from regen_jax.errors import UserError

POLL_SECONDS = 5.0  # between two questions to Slurm; the log is read more often
OVER = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"}
OVER |= {"OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}

logger = logging.getLogger("launch")


def follow(job: str, log: Path, out: TextIO = sys.stdout) -> int:
    """Shows a job's log and states until it is over, over any number of requeues.

    Returns its exit code (128 + the number of a signal), 1 if it was canceled, or 130
    after Ctrl-C, which ends only the showing.
    """
    position, shown, over = 0, "", False
    try:
        while True:
            fields = read(job)
            if (state := _describe(fields)) != shown:
                shown = state
                logger.info("job %s: %s", job, state)
            for _ in range(10):
                position = _copy_lines(log, position, out)
                if over:
                    break
                time.sleep(POLL_SECONDS / 10)
            # Between the end of a job and its requeue it is over for a moment.
            was_over, over = over, fields["JobState"] in OVER
            if was_over and over:
                return exit_code(fields) or int(fields["JobState"] != "COMPLETED")
    except KeyboardInterrupt:
        logger.info("job %s goes on; scancel %s ends it", job, job)
        return 130


def read(job: str) -> dict[str, str]:
    """Returns what `scontrol` shows of a job; `UserError` if Slurm does not know it."""
    command = ["scontrol", "--oneliner", "show", "job", job]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        message = " ".join(result.stderr.split())
        raise UserError(f"Slurm does not know job {job}: {message}")
    return dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", result.stdout.splitlines()[0]))


def exit_code(fields: Mapping[str, str]) -> int:
    """Returns the exit code of a job that has ended, 128 + the number of a signal."""
    code, _, number = fields["ExitCode"].partition(":")
    return 128 + int(number) if int(number or 0) else int(code)


def _describe(fields: Mapping[str, str]) -> str:
    state, restarts = fields["JobState"], fields.get("Restarts", "0")
    where = f" on {fields['NodeList']}" if state == "RUNNING" else ""
    why = f" ({fields['Reason']})" if state == "PENDING" else ""
    return f"{state}{where}{why}" + (
        f", requeues: {restarts}" if restarts != "0" else ""
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
