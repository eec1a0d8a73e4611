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
from regen_jax import runner
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
    devices_per_process: int | None = None,
    folder: Path | None = None,
) -> int:
    """Runs a command as the processes of one `jax.distributed` run.

    SIGTERM and SIGINT go to all of them. If all exit with 75 the command is started
    again, unless this process received a signal. Output goes to `log` in the folder, if
    there is one. Returns 0, or the exit code of the process that failed first.

    Raises:
      UserError: the visible GPUs cannot be divided.
    """
    supervisor = Supervisor()
    job = Job("run", [command], folder)
    return supervisor.run(
        supervisor.run_commands(
            job, lambda: environments(processes, devices_per_process)
        )
    )


def environments(processes: int, per_process: int | None) -> list[dict[str, str]]:
    """Returns the environment of each process of a run, with a new port at every call.

    Each has `per_process` CPU devices, by default one, or of several processes as many
    GPUs, by default all. A single process gets no distributed environment.
    """
    inherited = {n: value for n, value in os.environ.items() if n not in _VARIABLES}
    if per_process:
        inherited["JAX_NUM_CPU_DEVICES"] = str(per_process)
        # XLA has a thread for each core by default, and devices that wait for a reduction
        # may hold them all: the process aborts in time.
        inherited.setdefault("NPROC", "64")
    if processes == 1:
        return [inherited]
    gpus = len(visible_gpus(inherited))
    if gpus % processes or (gpus and (per_process or 0) * processes > gpus):
        each = f" of {per_process}" if per_process else ""
        raise UserError(
            f"{processes} processes{each} cannot divide the {gpus} visible GPUs: choose "
            "with CUDA_VISIBLE_DEVICES, or another number"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    share = per_process or gpus // processes
    ids = [range(i * share, (i + 1) * share) for i in range(processes)]
    return [
        {
            **inherited,
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_COORDINATOR_BIND_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(processes),
            "JAX_PROCESS_ID": str(index),
            **(
                {"JAX_LOCAL_DEVICE_IDS": ",".join(map(str, ids[index]))} if gpus else {}
            ),
        }
        for index in range(processes)
    ]


def slots_for(parallel: int) -> list[dict[str, str]]:
    """Returns the GPUs of each of some runs at a time, as variables of its environment.

    Raises:
      UserError: there are GPUs, but fewer than runs.
    """
    gpus = visible_gpus(os.environ)
    if parallel == 1 or not gpus:
        return [{} for _ in range(parallel)]
    share = len(gpus) // parallel
    if not share:
        raise UserError(
            f"--parallel={parallel} is more than the {len(gpus)} visible GPUs"
        )
    parts = [gpus[i * share : (i + 1) * share] for i in range(parallel)]
    return [{"CUDA_VISIBLE_DEVICES": ",".join(part)} for part in parts]


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Returns the NVIDIA GPUs that a process of this environment would use."""
    if environment.get("JAX_PLATFORMS") == "cpu":
        return []
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(i) for i, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return names[: names.index("-1")] if "-1" in names else names


def main(rest: list[str]) -> int:
    """Runs the command."""
    if not rest:
        raise UserError(f"{TRAIN_FLAGS} are needed after --: -- --config=…")
    if any(argument.lstrip("-").startswith("workdir") for argument in rest):
        workdir_of(rest)  # refused here, and not once in each process
    command = [sys.executable, "-m", "regen_jax.train", *rest]
    return run_processes(command, PROCESSES.value, DEVICES.value)


if __name__ == "__main__":
    PROCESSES = flags.DEFINE_integer("processes", 1, "how many", lower_bound=1)
    DEVICES = flags.DEFINE_integer(
        "devices_per_process", None, "CPU devices, or GPUs, of each", lower_bound=1
    )
    runner.run(main, trailing=TRAIN_FLAGS)
