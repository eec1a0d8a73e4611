"""Child processes: several jobs at a time, each some commands one after another."""

import contextlib
import dataclasses
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from launch import runs
from regen_jax.cli.exit_codes import REQUEUE

POLL_SECONDS = 0.1
GRACE_SECONDS = 60.0
"""What jobs have to save where something went wrong here."""
SHORT_SECONDS = 60.0
MAX_RESTARTS = 5
"""In a row, each within `SHORT_SECONDS` of a start: it gets nowhere."""
_TIED = str(Path(__file__).with_name("tied.py"))

logger = logging.getLogger("launch")


@dataclasses.dataclass(frozen=True)
class Job:
    """Commands to run one after another, their output in `<folder>/log`.

    `needs` are names of jobs that must have succeeded before.
    """

    name: str
    folder: Path
    commands: tuple[tuple[str, ...], ...]
    needs: tuple[str, ...] = ()


class Child:
    """A job that was started."""

    def __init__(self, job: Job, environment: Mapping[str, str]):
        self.job = job
        self._environment = {**os.environ, **environment}
        self._left = list(job.commands)
        self._stopping = False
        self._short = 0
        job.folder.mkdir(parents=True, exist_ok=True)
        self._start()

    def poll(self) -> int | None:
        """The job's exit code once it has ended, else None; starts what comes next.

        It is 0, or that of the command that failed; 128 + its number for a signal.
        """
        code = self._process.poll()
        if code is None:
            return None
        code = code if code >= 0 else 128 - code
        if self._stopping:
            return code if len(self._left) == 1 or code else REQUEUE
        if code == REQUEUE and self._may_restart():
            self._start()
            return None
        if code == 0 and len(self._left) > 1:
            del self._left[0]
            self._start()
            return None
        return code

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Asks it to save and end; nothing of it is started again."""
        self._stopping = True
        self._process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Until it has ended, but no longer than that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0, seconds))

    def _start(self) -> None:
        self._started = time.monotonic()
        # What this process leaves behind when it is killed ends with it.
        tied = [sys.executable, "-I", "-S", _TIED, str(os.getpid())]
        with open(self.job.folder / runs.LOG, "a") as log:
            print(f"$ {words(self._left[0])}", file=log, flush=True)
            self._process = subprocess.Popen(
                [*tied, *self._left[0]],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for this process, which asks its children to save.
                process_group=0,
            )

    def _may_restart(self) -> bool:
        short = time.monotonic() - self._started < SHORT_SECONDS
        self._short = self._short + 1 if short else 0
        return self._short <= MAX_RESTARTS


class Stopping:
    """Whether SIGINT or SIGTERM came while this context was entered."""

    def __init__(self):
        self.number: int | None = None
        self.hard = False
        self._news = False

    def check(self, children: Sequence[Child]) -> None:
        """Passes a signal on to the children: SIGTERM, or SIGKILL the second time."""
        if self._news:
            self._news = False
            if not self.hard:
                logger.info("stopping: %d runs save and end", len(children))
            for child in children:
                child.stop(signal.SIGKILL if self.hard else signal.SIGTERM)

    def __enter__(self) -> Self:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {n: signal.signal(n, self._note) for n in numbers}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self.hard = self.number is not None
        self.number, self._news = number, True


def run_jobs(
    jobs: Sequence[Job],
    slots: Sequence[Mapping[str, str]],
    more: Callable[[], Sequence[Job]] = lambda: (),
    ended: Callable[[Job, int], str] = lambda job, code: why(job) if code else "",
    look: Callable[[Sequence[Child]], None] = lambda children: None,
) -> tuple[dict[str, str], int | None]:
    """Runs jobs, as many at a time as there are slots, in their order where they may.

    Args:
      slots: the environment that each place gives its jobs.
      more: further jobs, asked for where a slot is free and no job waits.
      ended: why a job failed or nothing, from it and its exit code.
      look: called now and then with what runs.

    Returns why each job that failed did, by name, and the signal that stopped the
    whole if one did.
    """
    waiting, free = list(jobs), list(range(len(slots)))
    running: dict[int, Child] = {}
    failed: dict[str, str] = {}
    with ending(running), Stopping() as stopping:
        while True:
            _give_up(waiting, failed)
            while free and stopping.number is None:
                job = _ready(waiting, running)
                if job is None and not waiting:
                    waiting += more()
                    job = _ready(waiting, running)
                if job is None:
                    break
                waiting.remove(job)
                slot = free.pop(0)
                logger.info("started   %s", job.name)
                running[slot] = Child(job, slots[slot])
            if not running:
                break
            stopping.check(list(running.values()))
            look(list(running.values()))
            for slot, child in list(running.items()):
                code = child.poll()
                if code is None:
                    continue
                free = sorted([*free, slot])
                name = running.pop(slot).job.name
                if code and stopping.number is not None:
                    logger.info("stopped   %s", name)
                elif reason := ended(child.job, code):
                    failed[name] = reason
                    logger.info("failed    %s: %s", name, reason)
                else:
                    logger.info("%s  %s", "stopped " if code else "finished", name)
            time.sleep(POLL_SECONDS)
    return failed, stopping.number


def why(job: Job) -> str:
    """What a job that failed said last."""
    return runs.last_line(job.folder)


def _ready(waiting: Sequence[Job], running: Mapping[int, Child]) -> Job | None:
    """The first job that waits for no other."""
    open_jobs = {job.name for job in waiting}
    open_jobs |= {child.job.name for child in running.values()}
    return next((job for job in waiting if open_jobs.isdisjoint(job.needs)), None)


def _give_up(waiting: list[Job], failed: dict[str, str]) -> None:
    """Moves jobs that need a failed one from those that wait to those that failed."""
    for job in list(waiting):
        lacking = [name for name in job.needs if name in failed]
        if lacking:
            waiting.remove(job)
            failed[job.name] = f"not started: it needs {lacking[0]}, which failed"


def words(command: Sequence[str]) -> str:
    """A command as a user would write it in a shell."""
    first = "python" if command[0] == sys.executable else command[0]
    return shlex.join([first, *command[1:]])


@contextlib.contextmanager
def ending(running: Mapping[int, Child]) -> Iterator[None]:
    """Leaves no child behind, whatever goes wrong in this context."""
    try:
        yield
    finally:
        for child in running.values():
            child.stop()
        limit = time.monotonic() + GRACE_SECONDS
        for child in running.values():
            child.wait(limit - time.monotonic())
