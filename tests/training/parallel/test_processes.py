"""Several processes train what one does. They run `process_group.py`, a small stage."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from regen_jax.training.parallel.processes import initialize_arguments, slurm_devices
from tests.training.parallel.process_group import STRATEGIES, run

ROOT = Path(__file__).parents[3]
SHARED = re.compile("JAX_|XLA_|NPROC$|PATH$|PYTHON")
ENVIRONMENT = {name: value for name, value in os.environ.items() if SHARED.match(name)}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT)}
"""Without variables of Slurm and others, by which processes find one another."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start_pair(python, *arguments, indices=(0, 1)):
    """Starts two processes of a Python command, with two devices each, or one of them."""
    address = f"127.0.0.1:{free_port()}"
    joined = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": "2",
        "JAX_NUM_CPU_DEVICES": "2",
    }
    return [
        subprocess.Popen(
            [python, *map(str, arguments)],
            env={**ENVIRONMENT, **joined, "JAX_PROCESS_ID": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in indices
    ]


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Arrays after training in this process on four devices, by strategy."""
    folder = tmp_path_factory.mktemp("single")
    return {name: run(folder, name) for name in STRATEGIES}


@pytest.fixture(scope="module")
def pair(command, tmp_path_factory):
    """The folder of two processes with two devices each, and the output of each."""
    folder = tmp_path_factory.mktemp("pair")
    module = "tests.training.parallel.process_group"
    both = start_pair(command.python, "-m", module, folder)
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(outputs)
    return folder, outputs


def assert_same(folder, expected):
    for name in STRATEGIES:
        with np.load(folder / f"{name}.npz") as arrays:
            assert arrays.keys() == expected[name].keys()
            for key, value in expected[name].items():
                np.testing.assert_allclose(arrays[key], value, rtol=1e-6, atol=1e-6)


def test_two_processes_learn_what_one_does(pair, single):
    assert_same(pair[0] / "trained", single)


def test_first_process_writes_the_summaries(pair):
    for name in STRATEGIES:
        assert len(list((pair[0] / "trained" / name / "toy").glob("events*"))) == 1


def test_report_that_fails_in_one_process_is_logged_and_all_go_on(pair):
    _, (first, second) = pair
    assert "failed" not in first
    # The damaged run goes on from step 4, and reports on step 6 again.
    for step, count in ((3, 1), (6, 2)):
        line = (
            f"the report of stage 'toy' at step {step} failed (ValueError: in one proc"
        )
        assert second.count(line) == count


def test_two_processes_stop_at_the_same_step_and_save_it(pair):
    for name in STRATEGIES:
        saved = pair[0] / "stopped" / name / "toy" / "checkpoints"
        assert {path.name for path in saved.iterdir()} == {"2", "3"}
        # A report was due at that step.
        pending = json.loads((saved.parent / "unreported.json").read_text())
        assert pending["step"] == 3


def test_all_processes_fall_back_where_a_checkpoint_is_damaged(pair, single):
    folder, outputs = pair
    assert outputs[0].count("is damaged") == len(STRATEGIES)
    assert_same(folder / "damaged", single)


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
def test_missing_process_is_reported_in_one_line(command, present):
    (process,) = start_pair(command.python, "-c", SILENT, indices=(present,))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
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
def test_process_that_fails_ends_the_others(command, kind, status, who):
    both = start_pair(command.python, "-c", FAILING, kind, who)
    failing, other = both if who == "first" else both[::-1]
    output, _ = failing.communicate(timeout=60)
    other.communicate(timeout=60)
    assert failing.returncode == status, output
    assert "it went wrong" in output
    assert other.returncode != 0


def test_single_process_is_not_initialized():
    assert initialize_arguments({}) is None
    assert initialize_arguments({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}) is None
    assert (
        initialize_arguments({"SLURM_STEP_NUM_TASKS": "1", "OMPI_COMM_WORLD_SIZE": "1"})
        is None
    )
    assert initialize_arguments({"TPU_WORKER_HOSTNAMES": "localhost"}) is None


def test_launchers_are_recognized():
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
def test_slurm_tasks_divide_the_gpus_of_a_node(environment, devices):
    assert slurm_devices(environment) == devices
