"""Runs commands as child processes: in groups, restarted, several jobs at a time."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TextIO

from launch import runs
from regen_jax.cli.exit_codes import REQUEUE

POLL_SECONDS = 0.05
SETTLE_SECONDS = 1.0  # for the others to end by themselves, once a process has failed
GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL of the others
SAVE_SECONDS = 60.0  # between SIGTERM and SIGKILL of a canceled job
SHORT_SECONDS = 60.0  # a run that asks for a restart sooner has made no progress
MAX_SHORT_RESTARTS = 5  # in a row

Environment = Mapping[str, str]

logger = logging.getLogger("launch")


@dataclasses.dataclass(frozen=True)
class Job:
    """Commands to run in turn, each again while it exits with 75, "saved, start me again".

    Output is appended to `log` in the folder, if there is one. The jobs that it needs, by
    name, must have succeeded before.
    """

    name: str
    commands: Sequence[Sequence[str]]
    folder: Path | None = None
    needs: Sequence[str] = ()


class ProcessGroup:
    """The processes of one start of a command, one per environment.

    They are killed when this process dies. A single one writes to `log`, or shares stdin,
    stdout and stderr with this process. What several write is copied by lines; lines of
    all but the first begin with the index of the process, as in `[1] `.
    """

    def __init__(
        self,
        command: Sequence[str],
        environments: Sequence[Environment],
        log: TextIO | None = None,
    ):
        self.codes: list[int] = []
        self._log = log
        self._lock = threading.Lock()
        output = subprocess.PIPE if len(environments) > 1 else log
        stdin = subprocess.DEVNULL if output else None
        # Ctrl-C reaches this process alone, which forwards it once.
        options = {
            "stdin": stdin,
            "stdout": output,
            "stderr": output,
            "process_group": 0,
        }
        # Of util-linux; elsewhere children outlive a launcher that is killed.
        setpriv = shutil.which("setpriv")
        die_with_parent = [setpriv, "--pdeathsig=KILL"] if setpriv else []
        self._processes = [
            subprocess.Popen([*die_with_parent, *command], env=environment, **options)
            for environment in environments
        ]
        self._threads = [
            threading.Thread(target=self._copy, args=(index, *pipes), daemon=True)
            for index, process in enumerate(self._processes)
            for pipes in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
            if pipes[0]
        ]
        for thread in self._threads:
            thread.start()

    def signal(self, number: int) -> None:
        """Sends a signal to all processes that still run."""
        for process in self._processes:
            process.send_signal(number)

    async def wait(self) -> int:
        """Waits until all processes have ended; ends the others once one has failed.

        Returns the exit code of the process that failed first (128 + the number of a
        signal), 75 if none failed but one asks to be started again, or 0.
        """
        first, ending, count = 0, None, len(self._processes)
        for ended in asyncio.as_completed(map(self._wait_for, range(count))):
            index, code = await ended
            self.codes.append(code)
            if code and not first:
                # Processes of a run that saves end together, and may need a moment.
                wait = GRACE_SECONDS if code == REQUEUE else SETTLE_SECONDS
                ending = asyncio.create_task(self._end_after(wait))
                # Other codes are explained by the process itself.
                if code > 130 or (count > 1 and code not in (2, REQUEUE, 130)):
                    self.say(f"process {index} of {count} {_describe_end(code)}")
            if code and first in (0, REQUEUE):
                first = code
        if ending:
            ending.cancel()
        for thread in self._threads:
            thread.join(timeout=GRACE_SECONDS)
        return first

    def say(self, text: str) -> None:
        """Writes a line of the launcher's own to where the output goes."""
        if self._log is None:
            logger.info("%s", text)
        else:
            with self._lock:
                print(text, file=self._log, flush=True)

    async def _wait_for(self, index: int) -> tuple[int, int]:
        while (code := self._processes[index].poll()) is None:
            await asyncio.sleep(POLL_SECONDS)
        return index, code if code >= 0 else 128 - code

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.signal(signal.SIGTERM)
        await asyncio.sleep(GRACE_SECONDS)
        self.signal(signal.SIGKILL)

    def _copy(self, index: int, pipe: IO[bytes], output: TextIO) -> None:
        prefix = f"[{index}] " if index else ""
        for line in pipe:
            with self._lock:
                text = prefix + line.decode(errors="replace")
                print(text, end="", file=self._log or output, flush=True)
        pipe.close()


class Supervisor:
    """Runs child processes and passes SIGINT and SIGTERM on to them.

    With `let_save`, children get SIGTERM at the first signal, so that they save, and
    SIGKILL at the second, instead of the signal itself.
    """

    def __init__(self, let_save: bool = False):
        self.received: list[int] = []
        self._let_save = let_save
        self._groups: set[ProcessGroup] = set()

    def run(self, work: Coroutine) -> Any:
        """Runs a coroutine that uses this supervisor; for the main thread.

        Raises:
          KeyboardInterrupt: a SIGINT came and children were let save.
        """
        with asyncio.Runner() as runner:
            for number in (signal.SIGINT, signal.SIGTERM):
                runner.get_loop().add_signal_handler(number, self._pass_on, number)
            result = runner.run(work)
        if self._let_save and self.received:
            if self.received[-1] == signal.SIGINT:
                raise KeyboardInterrupt
            logger.info("stopped; the same command goes on from here")
        return result

    async def run_jobs(
        self, jobs: Sequence[Job], slots: Sequence[Environment]
    ) -> dict[str, str]:
        """Runs jobs, as many at a time as there are slots, in order as far as needs allow.

        A slot is what is added to the environment of its jobs. Returns why each job that
        failed did, by name.
        """
        free: asyncio.Queue[Environment] = asyncio.Queue()
        for slot in slots:
            free.put_nowait(slot)
        ended = {job.name: asyncio.Event() for job in jobs}
        failed: dict[str, str] = {}

        async def run(job: Job) -> None:
            for need in ended.keys() & job.needs:
                await ended[need].wait()
            if lacking := failed.keys() & job.needs:
                why = f"not started: it needs {min(lacking)}, which failed"
            else:
                slot = await free.get()
                why = await self.run_job(job, slot)
                free.put_nowait(slot)
            if why:
                failed[job.name] = why
            ended[job.name].set()

        await asyncio.gather(*map(run, jobs))
        return failed

    async def run_job(self, job: Job, slot: Environment) -> str:
        """Runs a job in a slot, unless a signal came; returns why it failed, if it did."""
        if self.received:
            return ""
        logger.info("started   %s", job.name)
        code = await self.run_commands(job, lambda: [{**os.environ, **slot}])
        if code and not self.received:
            why = runs.last_line(job.folder)
            logger.info("failed    %s: %s", job.name, why)
            return why
        logger.info("%s  %s", "stopped " if code else "finished", job.name)
        return ""

    async def run_commands(
        self, job: Job, environments: Callable[[], Sequence[Environment]]
    ) -> int:
        """Runs the commands of a job in turn, in environments made at every start.

        Returns 0, the exit code of the command that failed (128 + the number of a
        signal), or 75 after a signal that let it save or came before it could.
        """
        with _open_log(job) as log:
            for command in job.commands:
                code, num_short = REQUEUE, 0
                while not self.received and num_short <= MAX_SHORT_RESTARTS:
                    started = time.monotonic()
                    if log:
                        print(f"$ {shell_line(command)}", file=log, flush=True)
                    group = ProcessGroup(command, environments(), log)
                    code = await self.run_group(group)
                    if self.received or set(group.codes) != {REQUEUE}:
                        break
                    group.say("saved and stopped: the same command goes on")
                    short = time.monotonic() - started < SHORT_SECONDS
                    num_short = num_short + 1 if short else 0
                if num_short > MAX_SHORT_RESTARTS:
                    times = f"{num_short} times within a minute of a start"
                    group.say(f"saved and stopped {times}")
                if self.received and code == 128 + signal.SIGTERM:
                    return REQUEUE  # before it had anything to save
                if code:
                    return code
        return 0

    async def run_group(self, group: ProcessGroup) -> int:
        """Waits for a group and passes signals on; if canceled, lets it save and end."""
        self._groups.add(group)
        try:
            return await group.wait()
        except asyncio.CancelledError:
            group.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(group.wait(), SAVE_SECONDS)
            group.signal(signal.SIGKILL)
            raise
        finally:
            self._groups.remove(group)

    def _pass_on(self, number: int) -> None:
        self.received.append(number)
        if self._let_save and len(self.received) == 1:
            logger.info("stopping: %d runs save and end", len(self._groups))
            number = signal.SIGTERM
        elif self._let_save:
            number = signal.SIGKILL
        for group in self._groups:
            group.signal(number)


def shell_line(command: Sequence[str]) -> str:
    """Returns a command as a user would write it in a shell."""
    first = "python" if command[0] == sys.executable else command[0]
    return shlex.join([first, *command[1:]])


def _open_log(job: Job) -> contextlib.AbstractContextManager[TextIO | None]:
    if job.folder is None:
        return contextlib.nullcontext()
    job.folder.mkdir(parents=True, exist_ok=True)
    return open(job.folder / runs.LOG, "a")


def _describe_end(code: int) -> str:
    if code > 128:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(code - 128).name}"
    return f"ended with exit code {code}"
