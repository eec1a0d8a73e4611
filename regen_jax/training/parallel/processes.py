"""The processes of a run: one, or several that `jax.distributed` joins.

Several are recognized by the variables that their launcher sets: `launch/local.py`
and JobSets set `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`;
Slurm, Open MPI and TPUs have variables of their own, which JAX reads.
"""

import contextlib
import glob
import importlib.util
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

HEARTBEAT_SECONDS = 20
"""A process without a sign of life for so long is dead, and the others end."""

JOIN_SECONDS = int(os.environ.get("REGEN_JAX_JOIN_SECONDS", "45"))
"""How long processes wait for each other, at the start and at the end."""


def start(fail: Callable[[str], None]) -> None:
    """Joins the processes of this run; does nothing if there is one.

    To be called before anything asks JAX for its devices.

    Args:
      fail: prints an error and ends the process; called, in another thread, if other
        processes do not answer.
    """
    arguments = initialize_arguments(os.environ)
    if arguments is None:
        return
    late = (
        f"the processes of this run did not all join within {JOIN_SECONDS} s: is each of "
        f"them started, and does the first one's address ({_address()}) answer?"
    )
    # The client of JAX itself gives up with a crash of many lines.
    silence = threading.Timer(JOIN_SECONDS, fail, [late])
    silence.daemon = True
    silence.start()
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=2 * JOIN_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=JOIN_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        fail(f"the processes of this run cannot join: {error}")
    finally:
        silence.cancel()


def initialize_arguments(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Returns arguments of `jax.distributed.initialize`, or None for a single process."""
    if int(environment.get("JAX_NUM_PROCESSES", 1)) > 1:
        return {
            "num_processes": int(environment["JAX_NUM_PROCESSES"]),
            "process_id": int(environment["JAX_PROCESS_ID"]),
        }
    # Of a step, which srun starts: a batch script has one process.
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return {"local_device_ids": slurm_devices(environment)}
    if int(environment.get("OMPI_COMM_WORLD_SIZE", 1)) > 1 or _several_tpu_hosts(
        environment
    ):
        return {}
    return None


def slurm_devices(environment: Mapping[str, str]) -> list[int] | None:
    """Returns the GPUs of this task among those that it sees; None leaves it to JAX.

    JAX gives each task one GPU, numbered by the task, which is wrong if a task has
    several, or if Slurm shows it none but its own.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    count = len(visible.split(",")) if visible else 0
    # Of this node, the first of those that `2(x3),1` counts.
    tasks = int(re.split(r"\D", environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))[0])
    own = int(environment.get("SLURM_GPUS_PER_TASK", "0").rpartition(":")[2])
    if count == 0:
        return None
    if own == count or count % tasks:
        return list(range(count))
    per_task = count // tasks
    first = int(environment.get("SLURM_LOCALID", 0)) * per_task
    return list(range(first, first + per_task))


def count() -> int:
    """Returns the number of processes; does not start JAX's backend if there is one."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def is_main() -> bool:
    """Returns whether this process logs, writes summaries and holds the lock."""
    return count() == 1 or jax.process_index() == 0


@contextlib.contextmanager
def synchronized() -> Iterator[None]:
    """Runs what the processes do apart, such as opening a file; all fail if one does.

    Without it the others would wait for the one that failed in their next collective.

    Raises:
      RuntimeError: another process failed; an error of this process is raised as it is.
    """
    error = None
    try:
        yield
    # Whatever it is, the others have to know before it is raised.
    except Exception as caught:
        error = caught
    failed = any_process(error is not None)
    if error is not None:
        raise error
    if failed:
        raise RuntimeError("another process failed, and has logged why")


def any_process(flag: bool) -> bool:
    """Returns whether the flag is set in any process."""
    if count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def exit_cleanly(status: int) -> None:
    """Ends this process once the others have come so far too.

    A plain exit would wait for threads of libraries, and a coordinator that ends before
    the others would make them crash.
    """
    if count() > 1:
        jax.distributed.shutdown()
    _exit(status)


def exit_now(status: int) -> None:
    """Ends this process for an error of its own; the others notice, and end too."""
    if count() > 1 and is_main():
        # Without their coordinator they crash: their own messages come first.
        time.sleep(1)
    _exit(status)


def _exit(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _several_tpu_hosts(environment: Mapping[str, str]) -> bool:
    hosts = environment.get("TPU_WORKER_HOSTNAMES")
    if hosts is not None:
        return "," in hosts
    # On a TPU VM the metadata server tells JAX how many there are.
    chips = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/[0-9]*")
    return bool(chips) and importlib.util.find_spec("libtpu") is not None


def _address() -> str:
    named = os.environ.get("JAX_COORDINATOR_ADDRESS")
    return named or os.environ.get("SLURM_STEP_NODELIST") or "set by the launcher"
