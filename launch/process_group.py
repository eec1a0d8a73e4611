"""Processes that run, are told things and end together."""

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, TextIO

from regen_jax.cli.exit_codes import REQUEUE

SETTLE_SECONDS = 1.0
"""What the others have to end by themselves, and to say why, once one has failed."""
GRACE_SECONDS = 10.0
"""What they have between SIGTERM and SIGKILL."""

_TIED = str(Path(__file__).with_name("tied.py"))

logger = logging.getLogger("launch")


class Gang:
    """The processes of one start, one for each set of variables.

    A single one without `log` gets this process's own stdin, stdout and stderr. What
    others write goes there by lines, or into `log`; the lines of others than the first
    begin with their number, as in `[1] `.
    """

    def __init__(
        self, command: list[str], environments: list[dict[str, str]], log: TextIO | None
    ):
        self._log = log
        self._lock = threading.Lock()
        self._ends: queue.Queue[tuple[int, int]] = queue.Queue()
        self._codes: dict[int, int] = {}
        self._threads: list[threading.Thread] = []
        tied = [sys.executable, "-I", "-S", _TIED, str(os.getpid())]
        inherit = log is None and len(environments) == 1
        self._processes = [
            subprocess.Popen(
                [*tied, *command],
                env=environment,
                stdin=None if inherit else subprocess.DEVNULL,
                stdout=None if inherit else subprocess.PIPE,
                stderr=None if inherit else subprocess.PIPE,
                # Ctrl-C reaches this process alone, which forwards it once.
                process_group=0,
            )
            for environment in environments
        ]
        for index, process in enumerate(self._processes):
            for pipe, out in (
                (process.stdout, sys.stdout),
                (process.stderr, sys.stderr),
            ):
                if pipe:
                    self._thread(self._copy, index, pipe, log or out)
            waiter = partial(self._wait_for, index, process)
            threading.Thread(target=waiter, daemon=True).start()

    def signal(self, number: int) -> None:
        """Sends it to all that still run."""
        for index, process in enumerate(self._processes):
            if index not in self._codes:
                process.send_signal(number)

    def wait(self) -> int:
        """Until all have ended: the code of the first that failed, or 75, or 0."""
        first = 0
        pending: list[tuple[float, int]] = []
        while len(self._codes) < len(self._processes):
            timeout = max(0, pending[0][0] - time.monotonic()) if pending else None
            try:
                index, code = self._ends.get(timeout=timeout)
            except queue.Empty:
                self.signal(pending.pop(0)[1])
                continue
            self._codes[index] = code
            if first == REQUEUE and code:
                first = code
            elif code and not first:
                first = code
                # Those of a run that saves end together, and may need a moment for it.
                wait = GRACE_SECONDS if code == REQUEUE else SETTLE_SECONDS
                term = time.monotonic() + wait
                pending = [
                    (term, signal.SIGTERM),
                    (term + GRACE_SECONDS, signal.SIGKILL),
                ]
                if code not in (2, REQUEUE, 130):  # which speak for themselves
                    count = len(self._processes)
                    self.say(f"process {index} of {count} {_ended(code)}")
        for thread in self._threads:
            thread.join(timeout=GRACE_SECONDS)
        return first

    def all_stopped(self) -> bool:
        """Whether every process saved and asks to be started again."""
        return all(code == REQUEUE for code in self._codes.values())

    def say(self, text: str) -> None:
        """A line of the launcher's own, where the output goes."""
        if self._log is None:
            logger.info("%s", text)
            return
        with self._lock:
            print(text, file=self._log, flush=True)

    def _thread(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wait_for(self, index: int, process: subprocess.Popen) -> None:
        code = process.wait()
        self._ends.put((index, code if code >= 0 else 128 - code))

    def _copy(self, index: int, pipe: IO[bytes], out: TextIO) -> None:
        prefix = f"[{index}] " if index else ""
        with pipe:
            for line in pipe:
                with self._lock:
                    out.write(prefix + line.decode(errors="replace"))
                    out.flush()


def _ended(code: int) -> str:
    if code > 128:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(code - 128).name}"
    return f"ended with exit code {code}"
