"""Trains on this machine, as one process or as a gang of several.

python -m launch.local --processes=2 -- --config=… --workdir=…
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Self, TextIO

from absl import flags

from launch import cli
from launch.devices import visible_gpus
from launch.gang import Gang
from regen_jax.cli.exit_codes import REQUEUE
from regen_jax.errors import UserError

SHORT_SECONDS = 60.0
"""A gang that asks for a restart sooner than this has made no progress."""

_GANG = (
    "JAX_COORDINATOR_ADDRESS",
    "JAX_COORDINATOR_BIND_ADDRESS",
    "JAX_NUM_PROCESSES",
    "JAX_PROCESS_ID",
    "JAX_LOCAL_DEVICE_IDS",
)


def run_gang(
    command: list[str],
    processes: int,
    *,
    devices_per_process: int | None = None,
    log: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
    max_restarts: int = 5,
) -> int:
    """Runs the command as that many processes of one `jax.distributed` run.

    Returns 0, or the exit code of the process that failed first (128 + the number of a
    signal). Once one has failed the others are ended. SIGTERM and SIGINT go to all,
    where this is the main thread. Where all end with 75 the command is started again,
    unless it was this process that was told to stop, and at most `max_restarts` times
    in a row less than a minute after a start.

    Args:
      processes: one gets no distributed environment, and without `log` this process's
        own stdin, stdout and stderr.
      devices_per_process: CPU devices of each (one if not given), or GPUs of each
        where there are any and there are several processes.
      log: takes what all of them write; the lines of others than the first begin with
        their number, as in `[1] `.
      environment: variables on top of this process's own.

    Raises `UserError` where the visible GPUs cannot be divided.
    """
    shared = {**os.environ, **(environment or {})}
    shares = _devices(shared, processes, devices_per_process)
    short = 0
    with _Forwarding() as forwarding:
        while True:
            started = time.monotonic()
            gang = Gang(command, _environments(shared, shares), log)
            told = forwarding.to(gang)
            code = gang.wait()
            if told and told[-1] == signal.SIGTERM and code == 128 + signal.SIGTERM:
                return REQUEUE  # it came before the run could take it
            if told or not gang.all_stopped():
                return code
            short = short + 1 if time.monotonic() - started < SHORT_SECONDS else 0
            if short > max_restarts:
                gang.say(f"saved and stopped {short} times within a minute of a start")
                return code
            gang.say("saved and stopped: the same command goes on")


class _Forwarding:
    """Meanwhile SIGTERM and SIGINT are sent on; only the main thread can do that."""

    NUMBERS = (signal.SIGTERM, signal.SIGINT)

    def __enter__(self) -> Self:
        self._told: list[int] = []
        self._gang: Gang | None = None
        main = threading.current_thread() is threading.main_thread()
        numbers = self.NUMBERS if main else ()
        self._before = {n: signal.signal(n, self._forward) for n in numbers}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def to(self, gang: Gang) -> list[int]:
        """From now on to these processes; returns what was and will be received."""
        self._gang = gang
        for number in self._told:  # while they were started
            gang.signal(number)
        return self._told

    def _forward(self, number: int, _frame: object) -> None:
        self._told.append(number)
        if self._gang:
            self._gang.signal(number)


def _environments(
    shared: Mapping[str, str], shares: list[dict[str, str]]
) -> list[dict[str, str]]:
    """The variables of each process; a new port at every start."""
    # Of an outer launcher, which would make the processes wait for those of others.
    outer = (*_GANG, "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    alone = {name: value for name, value in shared.items() if name not in outer}
    if len(shares) == 1:
        return [alone | shares[0]]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    gang = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": str(len(shares)),
    }
    return [
        alone | share | gang | {"JAX_PROCESS_ID": str(index)}
        for index, share in enumerate(shares)
    ]


def _devices(
    environment: Mapping[str, str], processes: int, each: int | None
) -> list[dict[str, str]]:
    """The variables that give each process its devices."""
    cpu = {"JAX_NUM_CPU_DEVICES": str(each)} if each else {}
    gpus = len(visible_gpus(environment))
    if processes == 1 or not gpus:
        return [cpu] * processes
    if gpus % processes or (each or 0) * processes > gpus:
        raise UserError(
            f"{processes} processes{f' of {each}' if each else ''} cannot divide the "
            f"{gpus} visible GPUs: choose with CUDA_VISIBLE_DEVICES, or another number"
        )
    share = each or gpus // processes
    return [
        cpu
        | {"JAX_LOCAL_DEVICE_IDS": ",".join(str(i * share + j) for j in range(share))}
        for i in range(processes)
    ]


def main(rest: list[str]) -> int:
    """The command."""
    if not rest:
        raise UserError("flags of regen_jax.train are needed after --: -- --config=…")
    if any(argument.lstrip("-").startswith("workdir") for argument in rest):
        cli.workdir_of(rest)  # refused here, and not once in each process
    return run_gang(
        [sys.executable, "-m", "regen_jax.train", *rest],
        PROCESSES.value,
        devices_per_process=DEVICES.value,
    )


if __name__ == "__main__":
    PROCESSES = flags.DEFINE_integer("processes", 1, "how many", lower_bound=1)
    DEVICES = flags.DEFINE_integer(
        "devices_per_process", None, "CPU devices, or GPUs, of each", lower_bound=1
    )
    cli.run(main)
