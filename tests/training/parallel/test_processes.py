"""Several processes train what one does. They run `gang.py`, a small stage."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from regen_jax.training.parallel.processes import initialize_arguments, slurm_devices

GANG = Path(__file__).parent / "process_group.py"
ROOT = GANG.parents[3]
STRATEGIES = ("data", "fsdp", "pmap")
NOTHING = {
    "JAX_COMPILATION_CACHE_DIR": os.environ["JAX_COMPILATION_CACHE_DIR"],
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(ROOT),
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(count, *arguments, devices=2, python=(GANG,)):
    """That many processes of a script, not waited for."""
    address = f"127.0.0.1:{free_port()}"
    joined = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": str(count),
    }
    return [
        subprocess.Popen(
            [sys.executable, *python, *map(str, arguments)],
            env={
                **NOTHING,
                "JAX_NUM_CPU_DEVICES": str(devices),
                **({**joined, "JAX_PROCESS_ID": str(i)} if count > 1 else {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(count)
    ]


def finish(processes):
    outputs = [process.communicate(timeout=150)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), (
        "\n".join(outputs)
    )
    return outputs


def learned(folder, phase):
    found = {}
    for name in STRATEGIES:
        with np.load(folder / f"{name}-{phase}.npz") as arrays:
            found[name] = dict(arrays)
    return found


def assert_same(found, expected):
    for name in STRATEGIES:
        assert found[name].keys() == expected[name].keys()
        for key, value in expected[name].items():
            np.testing.assert_allclose(found[name][key], value, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process learns on four devices."""
    folder = tmp_path_factory.mktemp("alone")
    finish(start(1, folder, "alone", devices=4))
    return learned(folder, "alone")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of two processes with two devices each, and their output."""
    folder = tmp_path_factory.mktemp("two")
    for index, output in enumerate(finish(start(2, folder, "two"))):
        (folder / f"output-{index}").write_text(output)
    return folder


def test_two_learn_what_one_does(two, alone):
    assert_same(learned(two, "two"), alone)


def test_the_first_one_writes_the_summaries(two):
    for name in STRATEGIES:
        assert len(list((two / name / "toy").glob("events*"))) == 1


def test_report_that_fails_in_one_process_is_logged_and_all_go_on(two):
    first, second = ((two / f"output-{i}").read_text() for i in range(2))
    assert "failed" not in first
    for step in (3, 6):
        line = (
            f"the report of stage 'toy' at step {step} failed (ValueError: in one proc"
        )
        assert second.count(line) == 1


def test_two_stop_at_the_same_step_and_save_it(tmp_path):
    finish(start(2, tmp_path, "stop"))
    for name in STRATEGIES:
        saved = tmp_path / name / "toy" / "checkpoints"
        assert {path.name for path in saved.iterdir()} == {"2", "3"}
        # A report was due at that step.
        owed = json.loads((saved.parent / "unreported.json").read_text())
        assert owed["step"] == 3


def test_all_fall_back_where_a_checkpoint_is_damaged(two, tmp_path, alone):
    folder = shutil.copytree(two, tmp_path / "run")
    for name in STRATEGIES:
        newest = folder / name / "toy" / "checkpoints" / "6"
        seal = next(path for path in newest.rglob("*") if path.name == "metadata")
        seal.write_text(seal.read_text()[:20])
    told = finish(start(2, folder, "again"))
    assert told[0].count("is damaged") == len(STRATEGIES)
    assert_same(learned(folder, "again"), alone)


SILENT = """
import os
from regen_jax.training.parallel import processes
processes.JOIN_SECONDS = 1
def fail(error):
    print(error, flush=True)
    os._exit(2)
processes.start(fail)
"""


@pytest.mark.parametrize("present", [0, 1])
def test_others_that_do_not_come_are_told_in_one_line(present):
    both = start(2, python=("-c", SILENT))
    both[1 - present].kill()
    output, _ = both[present].communicate(timeout=60)
    both[1 - present].communicate()
    assert both[present].returncode == 2, output
    assert "did not all join within 1 s" in output and "127.0.0.1:" in output
    assert "Traceback" not in output and "@" not in output


FAILING = """
import sys
from absl import flags
from jax.experimental import multihost_utils
from regen_jax.cli import commands
from regen_jax.errors import UserError
from regen_jax.training.parallel import processes

def main():
    commands.start_processes()
    if processes.is_main() == (sys.argv[0] == "first"):
        raise {"bug": ValueError, "user": UserError}[kind]("it went wrong")
    multihost_utils.sync_global_devices("for ever")

processes.HEARTBEAT_SECONDS = 3
kind, who = sys.argv[1:3]
sys.argv = [who]
commands.run(main)
"""


@pytest.mark.parametrize("who", ["first", "second"])
@pytest.mark.parametrize("kind, status", [("bug", 1), ("user", 2)])
def test_where_one_fails_the_others_end(kind, status, who):
    both = start(2, kind, who, python=("-c", FAILING))
    failing, other = both if who == "first" else both[::-1]
    output, _ = failing.communicate(timeout=60)
    other.communicate(timeout=60)
    assert failing.returncode == status, output
    assert "it went wrong" in output
    assert other.returncode != 0


def test_one_process_is_not_joined():
    assert initialize_arguments({}) is None
    assert initialize_arguments({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}) is None
    assert (
        initialize_arguments({"SLURM_STEP_NUM_TASKS": "1", "OMPI_COMM_WORLD_SIZE": "1"})
        is None
    )
    assert initialize_arguments({"TPU_WORKER_HOSTNAMES": "localhost"}) is None


def test_launchers_are_recognised():
    local = {"JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "2"}
    assert initialize_arguments(local) == {"num_processes": 4, "process_id": 2}
    assert initialize_arguments({"SLURM_STEP_NUM_TASKS": "2"}) == {
        "local_device_ids": None
    }
    assert initialize_arguments({"OMPI_COMM_WORLD_SIZE": "2"}) == {}
    assert initialize_arguments({"TPU_WORKER_HOSTNAMES": "a,b"}) == {}


@pytest.mark.parametrize(
    "environment, devices",
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "0"}, [0]),
        # Slurm shows each task its own.
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_GPUS_PER_TASK": "2"}, [0, 1]),
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_GPUS_PER_TASK": "a100:2"}, [0, 1]),
        # Each task sees all of the node.
        (
            {
                "CUDA_VISIBLE_DEVICES": "0,1,2,3",
                "SLURM_STEP_TASKS_PER_NODE": "2(x4),1",
                "SLURM_LOCALID": "1",
            },
            [2, 3],
        ),
    ],
)
def test_tasks_of_slurm_share_the_gpus_of_a_node(environment, devices):
    assert slurm_devices(environment) == devices
