"""Trains on this machine, as one process or as several that train together.

python -m launch.local --processes=2 -- --config=… --workdir=…
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from launch.commands import TRAIN_FLAGS, workdir_of
from launch.supervisor import Job, Supervisor
from regen_jax.cli import runner
from regen_jax.errors import UserError

_VARIABLES = (
    "JAX_COORDINATOR_ADDRESS",
    "JAX_COORDINATOR_BIND_ADDRESS",
    "JAX_NUM_PROCESSES",
    "JAX_PROCESS_ID",
    "JAX_LOCAL_DEVICE_IDS",
    # Of an outer launcher, which would make the processes wait for those of others.
    "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_SIZE",
)


def run_processes(
    command: Sequence[str],
    processes: int,
    *,
    devices_per_process: int | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Runs a command as the processes of one `jax.distributed` run.

    SIGTERM and SIGINT go to all of them. If all exit with 75 the command is started
    again, unless this process received a signal.

    Args:
      command: the command of every process.
      processes: how many; a single one gets no distributed environment.
      devices_per_process: CPU devices of each (by default one), or GPUs of each where
        there are any and there are several processes.
      folder: of the file `log` for all output; None for the outputs of this process.
      environment: variables on top of this process's own.

    Returns:
      0, or the exit code of the process that failed first (128 + the number of a signal).

    Raises:
      UserError: the visible GPUs cannot be divided.
    """
    inherited = {
        name: value
        for name, value in {**os.environ, **(environment or {})}.items()
        if name not in _VARIABLES
    }
    devices = _devices(inherited, processes, devices_per_process)
    supervisor = Supervisor()
    job = Job("run", [command], folder)
    return supervisor.run(
        supervisor.run_commands(job, lambda: _environments(inherited, devices))
    )


def slots_for(parallel: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """What to add to the environment of each of some runs at a time: its GPUs.

    Raises:
      UserError: there are GPUs, but fewer than runs.
    """
    devices = visible_gpus(environment)
    if parallel == 1 or not devices:
        return [{} for _ in range(parallel)]
    share = len(devices) // parallel
    if not share:
        raise UserError(
            f"--parallel={parallel} is more than the {len(devices)} visible GPUs"
        )
    return [
        {"CUDA_VISIBLE_DEVICES": ",".join(devices[i * share : (i + 1) * share])}
        for i in range(parallel)
    ]


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Names of the NVIDIA GPUs that a process of this environment would use."""
    if environment.get("JAX_PLATFORMS") == "cpu":
        return []
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        named = [name.strip() for name in given.split(",") if name.strip()]
        return named[: named.index("-1")] if "-1" in named else named
    count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return [str(number) for number in range(count)]


def _environments(
    inherited: Mapping[str, str], devices: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Returns the environment of each process, with a new port at every start."""
    if len(devices) == 1:
        return [{**inherited, **devices[0]}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    distributed = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": str(len(devices)),
    }
    return [
        {**inherited, **of_process, **distributed, "JAX_PROCESS_ID": str(index)}
        for index, of_process in enumerate(devices)
    ]


def _devices(
    environment: Mapping[str, str], processes: int, per_process: int | None
) -> list[dict[str, str]]:
    """Returns the variables that give each process its devices."""
    cpu = {"JAX_NUM_CPU_DEVICES": str(per_process)} if per_process else {}
    gpus = len(visible_gpus(environment))
    if processes == 1 or not gpus:
        return [cpu] * processes
    if gpus % processes or (per_process or 0) * processes > gpus:
        each = f" of {per_process}" if per_process else ""
        raise UserError(
            f"{processes} processes{each} cannot divide the {gpus} visible GPUs: choose "
            "with CUDA_VISIBLE_DEVICES, or another number"
        )
    number = per_process or gpus // processes
    ids = [range(i * number, (i + 1) * number) for i in range(processes)]
    return [cpu | {"JAX_LOCAL_DEVICE_IDS": ",".join(map(str, own))} for own in ids]


def main(rest: list[str]) -> int:
    """Runs the command."""
    if not rest:
        raise UserError(f"{TRAIN_FLAGS} are needed after --: -- --config=…")
    if any(argument.lstrip("-").startswith("workdir") for argument in rest):
        workdir_of(rest)  # refused here, and not once in each process
    return run_processes(
        [sys.executable, "-m", "regen_jax.train", *rest],
        PROCESSES.value,
        devices_per_process=DEVICES.value,
    )


if __name__ == "__main__":
    PROCESSES = flags.DEFINE_integer("processes", 1, "how many", lower_bound=1)
    DEVICES = flags.DEFINE_integer(
        "devices_per_process", None, "CPU devices, or GPUs, of each", lower_bound=1
    )
    runner.run(main, trailing=TRAIN_FLAGS)
