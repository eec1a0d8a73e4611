"""Jobs on a real cluster: stand-ins where only Slurm matters, and `train`."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from launch import follow as following
from launch.follow import OVER, exit_code, follow, read
from launch.slurm import submit
from launch.supervisor import Job
from regen_jax.errors import UserError

ROOT = Path(__file__).parents[3]
STAND_IN = str(ROOT / "tests/launch/stand_in.py")

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(following, "POLL_SECONDS", 0.5)


def stand_in(folder, steps=20):
    folder.mkdir(parents=True, exist_ok=True)
    return [sys.executable, STAND_IN, str(folder), str(steps)]


def log(folder, job, task=0):
    return folder / f"{job}_{task}_log.out"


def logged(folder, job, task=0):
    path = log(folder, job, task)
    return path.read_text() if path.exists() else ""


def scontrol(*arguments):
    subprocess.run(["scontrol", *arguments], check=True, timeout=20)


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.1)


def state(job):
    return read(job)["JobState"]


def restarts(job):
    return int(read(job)["Restarts"])


def until_over(job, seconds=120):
    """Waits for the end of a job; returns its state and its exit code."""
    until(lambda: state(job) in OVER, seconds)
    return state(job), exit_code(read(job))


def until_again(job, folder, seconds=120):
    """Waits until a job has saved and runs again, without the two minutes of its hold."""
    until(lambda: restarts(job) and "saved" in logged(folder, job), seconds)
    # A node refuses a job in the second in which it ended it.
    time.sleep(1.5)

    def begun():
        if state(job) == "PENDING":
            # Refused where it has begun meanwhile.
            now = ["scontrol", "update", f"job={job}", "StartTime=now"]
            subprocess.run(now, check=False, capture_output=True, timeout=20)
        return state(job) == "RUNNING" or state(job) in OVER

    until(begun, seconds)


@pytest.fixture(scope="module")
def limited(cluster, tmp_path_factory):
    """A job that is longer than its limit, begun before the other tests."""
    folder = tmp_path_factory.mktemp("limited")
    work = stand_in(folder / "run", 100000)
    [job] = submit([Job("limited", [work])], {"minutes": 1}, folder)
    return folder, job


def test_follow_shows_log_of_first_task_over_a_requeue(limited, tmp_path, caplog):
    later = [sys.executable, "-c", "import os; print('later', *os.environ)"]
    jobs = [Job("two nodes", [stand_in(tmp_path / "run", 200), later])]
    [job] = submit(jobs, {"nodes": 2, "cpus_per_task": 1}, tmp_path)
    out = io.StringIO()
    codes = []
    caplog.set_level("INFO", "launch")
    thread = threading.Thread(
        target=lambda: codes.append(follow(job, log(tmp_path, job), out))
    )
    thread.start()
    until(lambda: "step 3/200" in logged(tmp_path, job), 120)
    scontrol("requeue", job)
    until_again(job, tmp_path)
    thread.join(timeout=60)
    assert codes == [0]

    shown = out.getvalue()
    assert shown == logged(tmp_path, job)
    [stopped] = re.findall(r"saved step (\d+)", shown)
    assert re.findall(r"from step (\d+)", shown) == ["0", stopped]
    steps = [int(n) for n in re.findall(r"^step (\d+)/200$", shown, re.MULTILINE)]
    assert steps == list(range(1, 201))
    # Once in the first task, as a process of its own.
    [variables] = re.findall("^later (.*)$", shown, re.MULTILINE)
    assert "SLURM" not in variables
    assert logged(tmp_path, job, task=1).rstrip().endswith("done")
    states = [
        r.getMessage() for r in caplog.records if f"job {job}: " in r.getMessage()
    ]
    assert any(" RUNNING on 127.0.0.[1-2]" in state for state in states)
    assert states[-1] == f"job {job}: COMPLETED, requeues: 1"


def test_array_has_a_job_per_run_and_others_wait_for_it(tmp_path):
    ends = ["/usr/bin/env", "ENDS=0:3:2"]
    jobs = [Job(n, [stand_in(tmp_path / n), ["echo", f"measured {n}"]]) for n in "ab"]
    jobs.append(Job("c", [[*ends, *stand_in(tmp_path / "c")], ["echo", "measured c"]]))
    a, b, c = submit(jobs, {"parallel": 3}, tmp_path)
    later = [Job("d", [["echo", "after"]])]
    [good] = submit(later, {}, tmp_path, after=[a, b])
    [bad] = submit(later, {}, tmp_path, after=[a, c])
    assert a.removesuffix("_0") == b.removesuffix("_1") == c.removesuffix("_2")
    assert [until_over(job) for job in (a, b, c)] == [
        ("COMPLETED", 0),
        ("COMPLETED", 0),
        ("FAILED", 2),
    ]
    assert logged(tmp_path, a).endswith("done\nmeasured a\n")
    assert logged(tmp_path, b).endswith("done\nmeasured b\n")
    assert "measured" not in logged(tmp_path, c)
    assert until_over(good) == ("COMPLETED", 0)
    assert until_over(bad)[0] == "CANCELLED"
    assert "after" in logged(tmp_path, good) and not logged(tmp_path, bad)


def test_array_jobs_are_requeued_separately(tmp_path):
    """The last one has the number of the whole array as its own."""
    jobs = [Job(n, [stand_in(tmp_path / n, 150)]) for n in "ab"]
    a, b = submit(jobs, {}, tmp_path)
    until(
        lambda: "step 3/" in logged(tmp_path, a) and "step 3/" in logged(tmp_path, b),
        120,
    )
    subprocess.run(["scancel", "--signal=TERM", b], check=True)
    until_again(b, tmp_path)
    assert until_over(a) == until_over(b) == ("COMPLETED", 0)
    assert (restarts(a), restarts(b)) == (0, 1)
    assert "saved" not in logged(tmp_path, a)


def test_failed_task_fails_the_job_though_others_save(tmp_path, monkeypatch):
    monkeypatch.setenv("ENDS", "1:5:3")
    work = stand_in(tmp_path / "run", 100000)
    [job] = submit([Job("fails", [work])], {"tasks_per_node": 2}, tmp_path)
    assert until_over(job) == ("FAILED", 3)
    assert "saved step" in logged(tmp_path, job)
    assert restarts(job) == 0
    assert follow(job, log(tmp_path, job), io.StringIO()) == 3


def test_canceled_job_saves_and_stays_canceled(tmp_path):
    work = stand_in(tmp_path / "run", 100000)
    [job] = submit([Job("cancelled", [work])], {}, tmp_path)
    until(lambda: "step 3/" in logged(tmp_path, job), 120)
    subprocess.run(["scancel", job], check=True)
    assert until_over(job)[0] == "CANCELLED"
    until(lambda: "saved step" in logged(tmp_path, job), 60)
    assert restarts(job) == 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"partition": "fast"}, r"--partition=fast is unknown: .* high, low, main$"),
        ({"directive": ["color=red"]}, "unrecognized option '--color=red'"),
    ],
)
def test_refusal_of_slurm_is_one_line(tmp_path, capfd, options, message):
    with pytest.raises(UserError, match=message) as error:
        submit([Job("no", [["true"]])], options, tmp_path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_submitted_script_equals_that_of_dry_run(tmp_path, capsys):
    jobs = [Job("shown", [["true"]])]
    for number in (1, 2):
        submit(jobs * number, {}, tmp_path / "logs", dry_run=True)
        shown = capsys.readouterr().out.split("# shown [0]")[0]
        [job, *_] = submit(jobs * number, {}, tmp_path / "logs")
        script = tmp_path / "logs" / f"{job.split('_')[0]}_submission.sh"
        assert script.read_text() == shown.removesuffix("\n")


def test_job_of_dead_node_is_requeued(cluster, tmp_path):
    work = stand_in(tmp_path / "run", 400)
    [job] = submit([Job("moves", [work])], {"partition": "low"}, tmp_path)
    until(lambda: "step 3/" in logged(tmp_path, job), 120)
    scontrol("update", "nodename=127.0.0.3", "state=down", "reason=test")
    try:
        # A node that comes back with a step of the job on it would not take it again.
        slurmd = cluster / "slurmd-127.0.0.3.log"
        until(lambda: f"[{job}.0] done with job" in slurmd.read_text(), 120)
    finally:
        scontrol("update", "nodename=127.0.0.3", "state=resume")
    until_again(job, tmp_path)
    assert until_over(job) == ("COMPLETED", 0)


def losses(workdir, stage="judge"):
    """The loss of every step of a stage."""
    events = EventAccumulator(str(workdir / stage), size_guidance={"scalars": 0})
    found = {e.step: e.value for e in events.Reload().Scalars("train/loss")}
    assert sorted(found) == list(range(1, 21))
    return np.array([found[step] for step in sorted(found)])


@pytest.fixture
def trains(command, tiny_flags):
    """The command of a run in (workdir) that ends with its judge, or another stage."""

    def trains(workdir, last="judge"):
        flags = [*tiny_flags, f"--stop_after={last}", f"--workdir={workdir}"]
        return [command.python, "-m", "regen_jax.train", *flags]

    return trains


def test_preempted_run_resumes_bit_for_bit(trained, trains, tmp_path):
    work = trains(tmp_path / "run", "abstraction")
    [job] = submit([Job("low", [work])], {"partition": "low"}, tmp_path)
    until(lambda: "judge 1/20" in logged(tmp_path, job), 150)
    options = {"partition": "high", "directive": ["exclusive="]}
    [higher] = submit([Job("high", [["sleep", "1"]])], options, tmp_path)
    assert until_over(higher, 60) == ("COMPLETED", 0)
    until_again(job, tmp_path)
    assert until_over(job, 150) == ("COMPLETED", 0), logged(tmp_path, job)
    assert restarts(job) == 1
    for stage in ("judge", "abstraction"):
        found, expected = losses(tmp_path / "run", stage), losses(trained, stage)
        np.testing.assert_array_equal(found, expected)


def test_two_nodes_equal_one_process_and_end_with_killed_worker(
    trained, trains, tmp_path, monkeypatch
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = {"nodes": 2}
    on_loopback(monkeypatch)
    [first] = submit([Job("whole", [trains(whole)])], options, tmp_path)
    on_loopback(monkeypatch)
    [second] = submit([Job("killed", [trains(killed)])], options, tmp_path)
    until(lambda: "judge 7/20" in logged(tmp_path, second), 150)
    # It is saved while training goes on.
    saved = killed / "judge" / "checkpoints"
    until(lambda: any(path.name.isdigit() for path in saved.glob("*")), 60)
    os.kill(worker(killed), signal.SIGKILL)
    state, code = until_over(second, 40)
    assert state == "FAILED" and code not in (0, 75)
    assert restarts(second) == 0

    # What is left goes on in another number of processes.
    work = trains(killed)
    [third] = submit([Job("restored", [work])], {}, tmp_path)
    assert until_over(third, 150) == ("COMPLETED", 0), logged(tmp_path, third)
    assert until_over(first, 150) == ("COMPLETED", 0), logged(tmp_path, first)
    assert "judge 1/20" not in logged(tmp_path, third)
    for workdir in (whole, killed):
        np.testing.assert_allclose(losses(workdir), losses(trained), 1e-6, 1e-6)


def on_loopback(monkeypatch):
    """The next job's coordinator listens there alone; by default on all interfaces."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.setenv("JAX_COORDINATOR_PORT", port)
    monkeypatch.setenv("JAX_COORDINATOR_BIND_ADDRESS", f"127.0.0.1:{port}")


def worker(workdir):
    """Number of the process that is the second of a run."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_text().split("\0")
            variables = (path / "environ").read_text().split("\0")
        except OSError:
            continue
        if f"--workdir={workdir}" in command and "SLURM_PROCID=1" in variables:
            return int(path.name)
    raise AssertionError("no second process")


def test_job_at_wall_limit_resumes(limited):
    folder, job = limited
    until_again(job, folder, 75)
    until(lambda: logged(folder, job).count("from step") > 1, 120)
    subprocess.run(["scancel", job], check=True)
    assert "TIME LIMIT" not in logged(folder, job)
    [saved, *_] = re.findall(r"saved step (\d+)", logged(folder, job))
    assert re.findall(r"from step (\d+)", logged(folder, job))[:2] == ["0", saved]
