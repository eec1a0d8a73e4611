"""Groups of stand-ins; that real runs fit in is tested with the processes of `train`."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from launch import supervisor
from launch.local import environments, run_processes
from regen_jax.errors import UserError

ROOT = Path(__file__).parents[2]
STAND_IN = str(Path(__file__).with_name("stand_in.py"))
SHOW = (
    "import os; print(sorted((k, v) for k, v in os.environ.items() if k[:4] == 'JAX_'))"
)


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    """No GPUs, and no distributed environment of whoever runs the tests."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for name in [name for name in os.environ if name.startswith(("JAX_", "SLURM_"))]:
        monkeypatch.delenv(name)


def stand_in(folder, steps=20):
    return [sys.executable, STAND_IN, str(folder), str(steps)]


@pytest.fixture
def run_and_log(tmp_path, monkeypatch):
    """Runs a command (command, processes, …): the exit code, and what was logged."""

    def run(command, processes, devices_per_process=None, **environment):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run_processes(command, processes, devices_per_process, tmp_path)
        lines = log.read_text().splitlines(keepends=True)
        assert lines[0].startswith("$ ")
        return code, "".join(line for line in lines if not line.startswith("$ "))

    return run


@pytest.fixture
def variables(run_and_log):
    """Returns JAX's variables in each process of (processes, **options), by prefix."""

    def read(processes, **options):
        code, log = run_and_log([sys.executable, "-c", SHOW], processes, **options)
        assert code == 0
        lines = sorted(log.splitlines(), key=lambda line: "[1] " in line)
        prefixes = ["[1] " if line.startswith("[1] ") else "" for line in lines]
        return {
            prefix: dict(ast.literal_eval(line.removeprefix(prefix)))
            for prefix, line in zip(prefixes, lines, strict=True)
        }

    return read


def test_single_process_gets_no_distributed_environment(variables, monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    assert variables(1) == {"": {}}
    assert variables(1, devices_per_process=3) == {"": {"JAX_NUM_CPU_DEVICES": "3"}}


def test_simulated_devices_get_threads_to_wait_for_one_another(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    assert "NPROC" not in environments(1, None)[0]
    assert [each["NPROC"] for each in environments(2, 4)] == ["64", "64"]
    monkeypatch.setenv("NPROC", "7")
    assert environments(1, 4)[0]["NPROC"] == "7"


def test_each_process_gets_its_index_and_a_free_loopback_port(variables):
    environments = variables(2, devices_per_process=2, JAX_ENABLE_X64="1")
    [address] = {v.pop("JAX_COORDINATOR_ADDRESS") for v in environments.values()}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    common = {
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": "2",
        "JAX_NUM_CPU_DEVICES": "2",
        "JAX_ENABLE_X64": "1",
    }
    assert environments == {
        "": {**common, "JAX_PROCESS_ID": "0"},
        "[1] ": {**common, "JAX_PROCESS_ID": "1"},
    }


def test_visible_gpus_are_divided_among_processes(variables, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,6,7")
    environments = variables(2)
    assert [v["JAX_LOCAL_DEVICE_IDS"] for v in environments.values()] == ["0,1", "2,3"]
    environments = variables(2, devices_per_process=1)
    assert [v["JAX_LOCAL_DEVICE_IDS"] for v in environments.values()] == ["0", "1"]
    assert "JAX_LOCAL_DEVICE_IDS" not in variables(1)[""]
    with pytest.raises(UserError, match="3 processes cannot divide the 4 visible GPUs"):
        run_processes(["true"], 3)
    with pytest.raises(UserError, match="2 processes of 3 cannot divide"):
        run_processes(["true"], 2, devices_per_process=3)
    assert "JAX_LOCAL_DEVICE_IDS" not in variables(2, JAX_PLATFORMS="cpu")[""]


def test_lines_of_other_processes_begin_with_their_index(run_and_log, tmp_path):
    code, log = run_and_log(stand_in(tmp_path, 50), 3)
    assert code == 0
    lines = ["from step 0", *(f"step {i}/50" for i in range(1, 51)), "done"]
    expected = Counter(p + line for p in ("", "[1] ", "[2] ") for line in lines)
    assert Counter(log.splitlines()) == expected


@pytest.mark.parametrize(
    "ends, expected, message",
    [
        ("1:5:3", 3, "process 1 of 2 ended with exit code 3\n"),
        ("0:5:KILL", 137, "process 0 of 2 was ended by SIGKILL\n"),
        ("0:5:2", 2, ""),
    ],
)
def test_failing_process_ends_the_others(
    run_and_log, tmp_path, monkeypatch, ends, expected, message
):
    monkeypatch.setattr(supervisor, "SETTLE_SECONDS", 0.1)
    started = time.monotonic()
    code, log = run_and_log(stand_in(tmp_path, 10000), 2, ENDS=ends)
    assert code == expected
    assert time.monotonic() - started < 30
    assert message in log
    assert "process" in log or not message
    # The other was asked to stop, and could save.
    assert re.search(r"saved step \d+", log)


def test_process_that_ignores_sigterm_is_killed(run_and_log, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.5)
    code, log = run_and_log(stand_in(tmp_path, 10000), 2, ENDS="0:5:3", SILENT="1")
    assert code == 3
    assert "saved" not in log


def test_saved_processes_are_restarted_while_they_progress(
    run_and_log, tmp_path, monkeypatch
):
    """A process stopped without a signal to the launcher."""
    count = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); "
    count += (
        "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1)); "
    )
    command = [sys.executable, "-c", count + "sys.exit(75 if n < 3 else 0)"]
    code, log = run_and_log([*command, f"{tmp_path}/a"], 1)
    assert code == 0
    assert log.splitlines() == ["saved and stopped: the same command goes on"] * 3
    assert len((tmp_path / "a").read_text()) == 4
    monkeypatch.setattr(supervisor, "MAX_SHORT_RESTARTS", 1)
    code, log = run_and_log([*command, f"{tmp_path}/b"], 1)
    assert code == 75
    assert len((tmp_path / "b").read_text()) == 2
    assert log.endswith("saved and stopped 2 times within a minute of a start\n")


def test_saved_and_failed_processes_are_a_failure(run_and_log, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.3)
    code, _ = run_and_log(stand_in(tmp_path, 50), 2, ENDS="0:2:75,1:8:3")
    assert code == 3


LAUNCH = "import sys; from launch.local import run_processes; "
LAUNCH += "sys.exit(run_processes(sys.argv[2:], int(sys.argv[1])))"


def start_launcher(processes, command):
    """Starts a launcher in a process of its own; returns once all processes work."""
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(processes), *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    working = set()
    while len(working) < processes:
        line = launcher.stdout.readline()
        assert line, launcher.wait()
        if "/10000" in line:
            working.add(line.startswith("[1]"))
    return launcher


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_lets_all_processes_save_and_exits_with_75(tmp_path, processes):
    launcher = start_launcher(processes, stand_in(tmp_path, 10000))
    launcher.send_signal(signal.SIGTERM)
    output, _ = launcher.communicate(timeout=30)
    assert launcher.returncode == 75
    assert output.count("saved step") == processes
    # And once more goes on from there.
    launcher = start_launcher(processes, stand_in(tmp_path, 10000))
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=30)
    assert launcher.returncode == 130


def test_processes_die_with_a_killed_launcher(tmp_path):
    launcher = start_launcher(2, stand_in(tmp_path, 10000))
    launcher.kill()
    # The pipe ends once nobody holds it; the stand-ins would work on for minutes.
    launcher.communicate(timeout=10)
    assert not list(tmp_path.iterdir())


def test_command_passes_on_flags_and_exit_code():
    command = [sys.executable, "-m", "launch.local"]
    for flags, message in (
        (["--processes=0", "--"], "--processes=0"),
        (["--processes=2"], "flags of regen_jax.train are needed after --"),
        (["--processes=2", "--workdir=x"], "workdir"),
        (["--processes=2", "--", "--workdir=gs://b/x"], "--workdir=gs://b/x is a URL"),
        (["--processes=2", "--", "--workdir", "x[1]"], "reads as a pattern"),
    ):
        done = subprocess.run(
            [*command, *flags], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert message in done.stderr and done.stderr.count("\n") == 1
    done = subprocess.run(
        [*command, "--", "--config=nowhere.py", "--workdir=nowhere"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.match(r"error: .*nowhere\.py.*\n$", done.stderr)
