"""The forks of `tests/commands.py` end as processes of their own would."""

import os
import signal
import subprocess
import time

import pytest

SLEEPER = """
import os, sys, time
print(os.getpid(), *sys.argv[1:], os.environ.get("SHOWN"), flush=True)
time.sleep(60)
"""


@pytest.fixture
def sleeper(command, tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    with subprocess.Popen(
        [command.python, "-m", "sleeper", "a b"],
        cwd=tmp_path,
        env={**os.environ, "SHOWN": "shown"},
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        yield started
        started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_reaches_the_fork(sleeper, number):
    pid, *shown = sleeper.stdout.readline().split()
    assert shown == ["a", "b", "shown"] and int(pid) != sleeper.pid
    sleeper.send_signal(number)
    assert sleeper.wait(timeout=20) == -number
    end = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < end


@pytest.mark.parametrize("end, code", [("3", 3), ("'it is so'", 1), ("", 0)])
def test_exit_code_is_that_of_the_fork(command, tmp_path, end, code):
    (tmp_path / "ends.py").write_text(f"import sys\nsys.exit({end})")
    done = command.run("ends", folder=tmp_path)
    assert done.returncode == code
    assert done.stderr == ("it is so\n" if code == 1 else "")


def test_code_runs_in_the_fork(command):
    code = "import sys; print(sys.argv, 'jax' in sys.modules, 'os' in globals())"
    shown = [command.python, "-c", code, "a b"]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert done.stdout == "['-c', 'a b'] True False\n"


def test_script_is_run_by_python_itself(command, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys; print(sys.argv[1:], 'jax' in sys.modules)")
    shown = [command.python, script, "a b"]
    done = subprocess.run(shown, capture_output=True, text=True, check=True)
    assert done.stdout == "['a b'] False\n"
