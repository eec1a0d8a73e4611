"""The processes of a run: one, or several that `jax.distributed` joins.

Several are recognised by what their launcher leaves in the environment: `launch/local.py`
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
"""A process that is silent for so long is dead, and the others end."""

JOIN_SECONDS = int(os.environ.get("REGEN_JAX_JOIN_SECONDS", "45"))
"""How long processes wait for each other, at the start and at the end."""


def start(fail: Callable[[str], None]) -> None:
    """Joins the processes of this run; does nothing where there is one.

    To be called before anything asks JAX for its devices. `fail` tells an error and
    ends the process: it is called, in another thread, where others do not answer.
    """
    arguments = given(os.environ)
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


def given(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """Arguments of `jax.distributed.initialize`; None where there is one process."""
    if int(environment.get("JAX_NUM_PROCESSES", 1)) > 1:
        return {
            "num_processes": int(environment["JAX_NUM_PROCESSES"]),
            "process_id": int(environment["JAX_PROCESS_ID"]),
        }
    # Of a step, that is of what srun started: a batch script has one process.
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        return {"local_device_ids": slurm_devices(environment)}
    if int(environment.get("OMPI_COMM_WORLD_SIZE", 1)) > 1 or _several_tpu_hosts(
        environment
    ):
        return {}
    return None


def slurm_devices(environment: Mapping[str, str]) -> list[int] | None:
    """The GPUs of this task among those that it sees; None leaves it to JAX.

    JAX gives each task one GPU, numbered by the task, which is wrong where a task has
    several, or where Slurm shows it none but its own.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES", "")
    count = len(visible.split(",")) if visible else 0
    # Of this node, the first of those that `2(x3),1` counts.
    tasks = int(re.match(r"\d+", environment.get("SLURM_STEP_TASKS_PER_NODE", "1"))[0])
    own = int(environment.get("SLURM_GPUS_PER_TASK", "0").rpartition(":")[2])
    if count == 0:
        return None
    if own == count or count % tasks:
        return list(range(count))
    share = count // tasks
    first = int(environment.get("SLURM_LOCALID", 0)) * share
    return list(range(first, first + share))


def count() -> int:
    """How many processes the run has; does not start JAX's backend where it is one."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def first() -> bool:
    """Whether this is the one that tells, writes summaries and holds the lock."""
    return count() == 1 or jax.process_index() == 0


@contextlib.contextmanager
def together() -> Iterator[None]:
    """What the processes do apart, such as opening a file: all fail if one does.

    Without it the others would wait for the one that failed in their next collective.
    """
    error = None
    try:
        yield
    # Whatever it is, the others have to know before it goes on its way.
    except Exception as caught:
        error = caught
    failed = agree(error is not None)
    if error is not None:
        raise error
    if failed:
        raise RuntimeError("another process failed, and has told why")


def agree(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    if count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(np.array(flag)).any())


def leave(status: int) -> None:
    """Ends all processes at once, each when the others have come so far too.

    A plain exit would wait for threads of libraries, and a coordinator that went before
    the others would make them crash.
    """
    if count() > 1:
        jax.distributed.shutdown()
    _exit(status)


def abandon(status: int) -> None:
    """Ends this process for an error of its own; the others notice, and end too."""
    if count() > 1 and first():
        # Without their coordinator they crash: what they have to say comes first.
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
    return named or os.environ.get("SLURM_STEP_NODELIST") or "told by the launcher"
