"""The Slurm launcher's scripts and errors, without Slurm."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launch.slurm import submit
from launch.supervisor import Job
from launch.task import RAISED
from regen_jax.errors import UserError

ROOT = Path(__file__).parents[2]
STAND_IN = str(Path(__file__).with_name("stand_in.py"))
RUN = ["--", "--config=configs/digits.py", "--workdir=runs/x"]


@pytest.fixture
def no_slurm(monkeypatch, tmp_path):
    """A folder for programs in place of Slurm's own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    return tmp_path / "bin"


def program(folder, name, script):
    (folder / name).write_text(f"#!{sys.executable}\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def launch(command):
    """Runs `launch.slurm` with the PATH of this process."""

    def run(*flags):
        return command.run("launch.slurm", *flags, PATH=os.environ["PATH"])

    return run


def directives(script):
    lines = [line.split()[1] for line in script.splitlines() if "#SBATCH" in line]
    return dict(line.removeprefix("--").partition("=")[::2] for line in lines)


def dry_run(capsys, jobs, options, **more):
    assert submit(jobs, options, Path("/nowhere/logs"), dry_run=True, **more) == []
    return capsys.readouterr().out


def test_dry_run_prints_script_and_writes_nothing(no_slurm, command, launch, tmp_path):
    run = ["--", "--config=configs/digits.py", f"--workdir={tmp_path}/run"]
    done = launch(
        "--dry_run",
        "--nodes=2",
        "--tasks_per_node=4",
        "--gpus_per_task=2",
        "--cpus_per_task=8",
        "--partition=gpu",
        "--minutes=120",
        "--account=me",
        "--qos=high",
        "--directive=mem=16G",
        "--directive=exclusive=",
        *run,
    )
    assert done.returncode == 0, done.stderr
    assert directives(done.stdout) == {
        "account": "me",
        "cpus-per-task": "8",
        "exclusive": "",
        "gpus-per-task": "2",
        "job-name": "run",
        "mem": "16G",
        "nodes": "2",
        "ntasks-per-node": "4",
        "open-mode": "append",
        "output": f"{tmp_path}/run/slurm/%j_0_log.out",
        "partition": "gpu",
        "qos": "high",
        "requeue": "",
        "signal": "TERM@90",
        "time": "120",
        "wckey": "submitit",
    }
    [srun] = [line for line in done.stdout.splitlines() if line.startswith("srun ")]
    for word in ("--kill-on-bad-exit=1", "--open-mode=append", "--cpus-per-task=8"):
        assert word in srun.split()
    assert done.stdout.splitlines()[-1] == (
        f"# run [0], every task: {command.python} -m regen_jax.train {' '.join(run[1:])}"
    )
    subprocess.run(["/bin/bash", "-n"], input=done.stdout, text=True, check=True)
    assert not (tmp_path / "run").exists()


def test_several_jobs_are_one_array_with_dependencies(no_slurm, capsys):
    jobs = [Job(n, [["train", n], ["evaluate", f"{n} {n}"]]) for n in "ab"]
    shown = dry_run(capsys, jobs, {"parallel": 1}, after=["3", "5_1"])
    options = directives(shown)
    assert options["array"] == "0-1%1"
    assert options["dependency"] == "afterok:3:5_1"
    assert options["kill-on-invalid-dep"] == "yes"
    assert options["output"] == "/nowhere/logs/%A_%a_0_log.out"
    assert shown.splitlines()[-4:] == [
        "# a [0], every task: train a",
        "# a [0], first task: evaluate 'a a'",
        "# b [1], every task: train b",
        "# b [1], first task: evaluate 'b b'",
    ]


def test_directives_override_other_options(no_slurm, capsys):
    options = {"directive": ["signal=TERM@300", "ntasks-per-node=3"]}
    shown = directives(dry_run(capsys, [Job("a", [["b"]])], options))
    assert (shown["signal"], shown["ntasks-per-node"]) == ("TERM@300", "3")


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "Slurm is not installed here .* launch.local"),
        (["--directive=mem"], "directive 'mem': must be key=value"),
        (["--directive=a=b\nc"], "must be key=value"),
        (["--nodes=0"], "--nodes=0"),
    ],
)
def test_errors_are_one_line(no_slurm, launch, flags, message):
    done = launch(*flags, *RUN)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert re.search(message, done.stderr)


def test_missing_or_wrong_train_flags_are_one_line(launch):
    assert "--config=" in launch("--dry_run").stderr
    for flags, message in (
        ([], "--workdir is needed"),
        (["--workdir=gs://b/run"], "--workdir=gs://b/run is a URL"),
        (["--workdir=runs/50%"], "which Slurm reads as a pattern"),
    ):
        assert message in launch("--dry_run", "--", "--config=c.py", *flags).stderr


def test_error_names_unknown_account(no_slurm, tmp_path):
    output = (
        "sbatch: error: Batch job submission failed: "
        "Invalid account or account/partition combination specified"
    )
    program(no_slurm, "srun", "")
    program(no_slurm, "sinfo", "print('main')")
    program(no_slurm, "sbatch", f"import sys; sys.exit({output!r})")
    with pytest.raises(UserError, match=r"^--account=mine: .*Invalid account") as error:
        submit([Job("a", [["b"]])], {"account": "mine"}, tmp_path / "logs")
    assert "\n" not in str(error.value)
    program(no_slurm, "sinfo", "import sys; sys.exit('slurm_load: cannot connect')")
    with pytest.raises(UserError, match="Slurm does not answer: .*cannot connect"):
        submit([Job("a", [["b"]])], {}, tmp_path / "logs")


def test_error_names_folder_that_cannot_be_written(no_slurm, tmp_path):
    for name in ("srun", "sbatch", "sinfo"):
        program(no_slurm, name, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/logs cannot be written"):
        submit([Job("a", [["b"]])], {}, tmp_path / "file" / "logs")


TASK = "import sys; from launch.task import run; "
TASK += "run([c.split() for c in sys.argv[1:]])"


def task(*commands, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", TASK, *commands],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    "commands, rank, code, output",
    [
        (["echo a", "echo b", "echo c"], "0", 0, "a\nb\nc\n"),
        (["echo a", "echo b"], "1", 0, "a\n"),
        (["false", "echo b"], "0", RAISED + 1, ""),
        (["echo a", "false"], "0", RAISED + 1, "a\n"),
        (["grep a /no/file"], "0", RAISED + 2, None),
    ],
)
def test_task_runs_commands_until_one_fails(commands, rank, code, output):
    run = task(*commands, SLURM_PROCID=rank)
    printed, _ = run.communicate(timeout=30)
    assert run.returncode == code
    assert output is None or printed == output


def test_task_saves_after_sigterm(tmp_path):
    """Slurm with cgroups signals the task, and not what it has started."""
    command = f"{sys.executable} {STAND_IN} {tmp_path} 100000"
    run = task(command, "echo later", SLURM_PROCID="0")
    while "step 3/" not in run.stdout.readline():
        pass
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=30)
    assert run.returncode == 75
    assert "saved step" in output and "later" not in output


BEGUN = f"{sys.executable} -c print('begun',flush=True);__import__('time').sleep(60)"


@pytest.mark.parametrize("commands", [[BEGUN], ["echo a", BEGUN]])
def test_task_asks_for_requeue_where_nothing_was_saved(commands):
    run = task(*commands, SLURM_PROCID="0")
    while run.stdout.readline() != "begun\n":
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=30)
    assert run.returncode == 75
