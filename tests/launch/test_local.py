"""Gangs of stand-ins; that real runs fit in is tested with the processes of `train`."""

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from launch import gang
from launch.local import run_gang
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


def variables(processes, **options):
    log = io.StringIO()
    assert run_gang([sys.executable, "-c", SHOW], processes, log=log, **options) == 0
    lines = sorted(log.getvalue().splitlines(), key=lambda line: "[1] " in line)
    return {
        line[:4] if line.startswith("[1] ") else "": dict(
            eval(line.removeprefix("[1] "))
        )
        for line in lines
    }


def test_one_process_has_no_distributed_environment(monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    assert variables(1) == {"": {}}
    assert variables(1, devices_per_process=3) == {"": {"JAX_NUM_CPU_DEVICES": "3"}}


def test_each_process_knows_its_number_and_a_free_port_of_the_loopback():
    found = variables(2, devices_per_process=2, environment={"JAX_ENABLE_X64": "1"})
    [address] = {v.pop("JAX_COORDINATOR_ADDRESS") for v in found.values()}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    common = {
        "JAX_COORDINATOR_BIND_ADDRESS": address,
        "JAX_NUM_PROCESSES": "2",
        "JAX_NUM_CPU_DEVICES": "2",
        "JAX_ENABLE_X64": "1",
    }
    assert found == {
        "": {**common, "JAX_PROCESS_ID": "0"},
        "[1] ": {**common, "JAX_PROCESS_ID": "1"},
    }


def test_visible_gpus_are_divided(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,6,7")
    found = variables(2)
    assert [v["JAX_LOCAL_DEVICE_IDS"] for v in found.values()] == ["0,1", "2,3"]
    found = variables(2, devices_per_process=1)
    assert [v["JAX_LOCAL_DEVICE_IDS"] for v in found.values()] == ["0", "1"]
    assert "JAX_LOCAL_DEVICE_IDS" not in variables(1)[""]
    with pytest.raises(UserError, match="3 processes cannot divide the 4 visible GPUs"):
        run_gang(["true"], 3)
    with pytest.raises(UserError, match="2 processes of 3 cannot divide"):
        run_gang(["true"], 2, devices_per_process=3)
    assert (
        "JAX_LOCAL_DEVICE_IDS"
        not in variables(2, environment={"JAX_PLATFORMS": "cpu"})[""]
    )


def test_lines_of_others_than_the_first_begin_with_their_number(tmp_path):
    log = io.StringIO()
    assert run_gang(stand_in(tmp_path, 50), 3, log=log) == 0
    lines = ["from step 0", *(f"step {i}/50" for i in range(1, 51)), "done"]
    expected = Counter(p + line for p in ("", "[1] ", "[2] ") for line in lines)
    assert Counter(log.getvalue().splitlines()) == expected


@pytest.mark.parametrize(
    "ends, code, said",
    [
        ("1:5:3", 3, "process 1 of 2 ended with exit code 3\n"),
        ("0:5:KILL", 137, "process 0 of 2 was ended by SIGKILL\n"),
        ("0:5:2", 2, ""),
    ],
)
def test_one_that_fails_ends_the_gang(tmp_path, monkeypatch, ends, code, said):
    monkeypatch.setattr(gang, "SETTLE_SECONDS", 0.1)
    log = io.StringIO()
    started = time.monotonic()
    found = run_gang(stand_in(tmp_path, 10000), 2, log=log, environment={"ENDS": ends})
    assert found == code
    assert time.monotonic() - started < 30
    assert said in log.getvalue()
    assert "process" in log.getvalue() or not said
    # The other was told to stop, and could save.
    assert re.search(r"saved step \d+", log.getvalue())


def test_one_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(gang, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(gang, "GRACE_SECONDS", 0.5)
    environment = {"ENDS": "0:5:3", "SILENT": "1"}
    log = io.StringIO()
    assert run_gang(stand_in(tmp_path, 10000), 2, log=log, environment=environment) == 3
    assert "saved" not in log.getvalue()


def test_a_saved_gang_goes_on(tmp_path, monkeypatch):
    """Someone told one process, or it told itself; the launcher was not told."""
    count = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); "
    count += (
        "n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1)); "
    )
    command = [sys.executable, "-c", count + "sys.exit(75 if n < 3 else 0)"]
    log = io.StringIO()
    assert run_gang([*command, f"{tmp_path}/a"], 1, log=log) == 0
    assert (
        log.getvalue().splitlines()
        == ["saved and stopped: the same command goes on"] * 3
    )
    assert len((tmp_path / "a").read_text()) == 4
    log = io.StringIO()
    assert run_gang([*command, f"{tmp_path}/b"], 1, log=log, max_restarts=1) == 75
    assert len((tmp_path / "b").read_text()) == 2
    assert log.getvalue().endswith(
        "saved and stopped 2 times within a minute of a start\n"
    )


def test_saved_and_failed_is_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(gang, "GRACE_SECONDS", 0.3)
    environment = {"ENDS": "0:2:75,1:8:3"}
    assert (
        run_gang(stand_in(tmp_path, 50), 2, log=io.StringIO(), environment=environment)
        == 3
    )


LAUNCH = "import sys; from launch.local import run_gang; "
LAUNCH += "sys.exit(run_gang(sys.argv[2:], int(sys.argv[1])))"


def launched(processes, command):
    """A launcher of its own, once all processes are at work."""
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
def test_sigterm_goes_to_all_and_the_launcher_asks_for_a_restart(tmp_path, processes):
    launcher = launched(processes, stand_in(tmp_path, 10000))
    launcher.send_signal(signal.SIGTERM)
    told, _ = launcher.communicate(timeout=30)
    assert launcher.returncode == 75
    assert told.count("saved step") == processes
    # And once more goes on from there.
    launcher = launched(processes, stand_in(tmp_path, 10000))
    launcher.send_signal(signal.SIGINT)
    told, _ = launcher.communicate(timeout=30)
    assert launcher.returncode == 130


def test_nothing_outlives_a_launcher_that_is_killed(tmp_path):
    launcher = launched(2, stand_in(tmp_path, 10000))
    launcher.kill()
    # The pipe ends once nobody holds it; the stand-ins would work on for minutes.
    launcher.communicate(timeout=10)
    assert not list(tmp_path.iterdir())


def test_the_command_passes_flags_and_the_exit_code_on():
    command = [sys.executable, "-m", "launch.local"]
    for flags, said in (
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
        assert said in done.stderr and done.stderr.count("\n") == 1
    done = subprocess.run(
        [*command, "--", "--config=nowhere.py", "--workdir=nowhere"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert re.match(r"error: .*nowhere\.py.*\n$", done.stderr)
