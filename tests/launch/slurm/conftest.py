"""A Slurm cluster of three nodes on this machine's loopback, for the tests beside it.

Its daemons run as whoever runs the tests, without munge, cgroups or accounting, and are
stopped by their own pid files.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NODES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=bf_interval=1,batch_sched_delay=0,sched_interval=2
KillWait=10
SlurmctldTimeout=30
SlurmdTimeout=30
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
PartitionName=main Nodes=127.0.0.[1-2] Default=YES
PartitionName=low Nodes=127.0.0.3 PriorityTier=1 GraceTime=40
PartitionName=high Nodes=127.0.0.3 PriorityTier=2 PreemptMode=OFF
"""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Starts it and points Slurm's commands to it; the folder of its logs.

    Skips where Slurm is not installed.
    """
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
    for name in ("slurmctld", "slurmd", "sbatch", "srun", "scontrol"):
        if shutil.which(name, path=path) is None:
            pytest.skip(f"{name} is not installed (Debian: slurm-wlm)")
    user = pwd.getpwuid(os.getuid()).pw_name
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    ports = _free_ports(1 + len(NODES))
    host = socket.gethostname().split(".")[0]
    config = CONFIG.format(host=host, port=ports[0], user=user, folder=folder)
    for node, port in zip(NODES, ports[1:], strict=True):
        # More cores than there may be: jobs of different tests run at once.
        config += (
            f"NodeName={node} NodeAddr=127.0.0.1 NodeHostname={host} Port={port} "
            "CPUs=4 RealMemory=1000\n"
        )
    (folder / "slurm.conf").write_text(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        patch.setenv("PATH", path)
        # What jobs import; each sees one CPU device.
        patch.setenv("PYTHONPATH", str(ROOT))
        try:
            subprocess.run(["slurmctld", "-c"], check=True, timeout=20)
            for node in NODES:
                subprocess.run(["slurmd", "-N", node], check=True, timeout=20)
            wait(lambda: _states().count("idle") == len(NODES), 30)
            yield folder
        finally:
            with contextlib.suppress(subprocess.SubprocessError):
                cancel = ["scancel", "--user", user]
                subprocess.run(cancel, check=False, timeout=20)
                wait(lambda: set(_states()) <= {"idle"}, 20)
            _stop([folder / f"slurmd-{node}.pid" for node in NODES])
            _stop([folder / "slurmctld.pid"])


def wait(condition: Callable[[], object], seconds: float) -> None:
    """Until it holds, or fails the test."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise subprocess.SubprocessError(f"not within {seconds} s")
        time.sleep(0.1)


def _states() -> list[str]:
    command = ["sinfo", "--noheader", "--Node", "--format=%N %t"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    return [line.split()[1] for line in sorted(set(result.stdout.splitlines()))]


def _stop(files: list[Path]) -> None:
    pids = [int(file.read_text()) for file in files if file.exists()]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            print(f"Slurm's daemons {pids} did not end", file=sys.stderr)
            return
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]
