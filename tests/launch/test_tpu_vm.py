"""The script for a TPU VM, with a `gcloud` of a few lines in place of Google's."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "launch/tpu_vm.sh"
OPTIONS = {
    "ZONE": "us-west4-a",
    "ACCELERATOR": "v5litepod-16",
    "RUNTIME": "v2-alpha-tpuv5-lite",
    "STORAGE": "10.0.0.2:/runs",
}
GCLOUD = r"""#!/usr/bin/env bash
echo "${*:3:3}" >>"$FAKE/calls"
for last; do [[ $last == --command=* ]] && command=${last#*=}; done
case "$3 $4" in
  "tpu-vm describe") cat "$FAKE/vm" ;;
  "queued-resources describe") cat "$FAKE/request" ;;
  "queued-resources create") echo READY >"$FAKE/vm"; echo ACTIVE >"$FAKE/request" ;;
  "queued-resources delete") rm "$FAKE/vm" "$FAKE/request" ;;
  "tpu-vm scp") cp "$5" "$HOME/${6#*:}" ;;
  "tpu-vm ssh") cd "$HOME" && exec bash -c "$command" ;;
esac
"""
PYTHON = r"""#!/usr/bin/env bash
case "$2" in
  pip) mkdir -p .venv/bin && touch .venv/bin/activate ;;
  regen_jax.data.prepare) echo "$3" >>"$FAKE/prepared" ;;
  regen_jax.train)
    printf '%s\0' "${@:3}" >"$FAKE/arguments"
    echo started >>"$FAKE/starts"
    status=$(sed -n "$(wc -l <"$FAKE/starts")p" "$FAKE/statuses")
    if [ "$status" = gone ]; then
      echo PREEMPTED >"$FAKE/vm"; echo SUSPENDED >"$FAKE/request"; exit 137
    fi
    exit "$status" ;;
esac
"""


class Cloud:
    """One worker of a TPU VM: a folder that a `gcloud` of a few lines looks after."""

    def __init__(self, folder: Path):
        self.home, self.fake = folder / "home", folder / "fake"
        self.checkout = folder / "checkout"
        for path in (self.home, self.fake, folder / "bin", self.checkout / "launch"):
            path.mkdir(parents=True)
        for name in ("environment", "constraints.txt"):
            shutil.copy(ROOT / "launch" / name, self.checkout / "launch")
        for command in (["init", "-q"], ["add", "."]):
            subprocess.run(["git", *command], cwd=self.checkout, check=True)
        programs = {"gcloud": GCLOUD, "python": PYTHON}
        for name in ("sudo", "sleep", "mountpoint"):
            programs[name] = "#!/bin/sh\n"
        for name, text in programs.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(stat.S_IRWXU)
        self.environment = {
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "FAKE": str(self.fake),
            "VIRTUAL_ENV": str(folder),
        }

    def run(
        self, arguments: list[str], *statuses: str, **options: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs the script; its trainings end with the statuses."""
        (self.fake / "statuses").write_text("\n".join(statuses) + "\n")
        return subprocess.run(
            ["bash", SCRIPT, *arguments],
            cwd=self.checkout,
            env={**self.environment, **OPTIONS, **options},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def lines(self, name: str) -> list[str]:
        path = self.fake / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def cloud(tmp_path):
    return Cloud(tmp_path)


def test_vm_is_made_and_made_again_after_preemption(cloud, arguments):
    done = cloud.run(arguments, "75", "gone", "0", SPOT="1", PREPARE="digits")

    assert done.returncode == 0, done.stdout + done.stderr
    received = (cloud.fake / "arguments").read_text().split("\0")
    assert received == [*arguments, ""]
    assert cloud.lines("calls").count("queued-resources create regen-jax") == 2
    assert cloud.lines("calls").count("queued-resources delete regen-jax") == 1
    assert len(cloud.lines("starts")) == 3
    assert set(cloud.lines("prepared")) == {"digits"}
    assert "gcloud compute tpus queued-resources delete regen-jax" in done.stdout


@pytest.mark.parametrize(
    "statuses, expected", [(["2"], 2), (["75", "1"], 1), (["75"] * 3, 75)]
)
def test_vm_stops_after_failure_or_last_restart(cloud, arguments, statuses, expected):
    done = cloud.run(arguments, *statuses, RESTARTS="2")

    assert done.returncode == expected, done.stdout + done.stderr
    assert len(cloud.lines("starts")) == len(statuses)


def test_run_left_by_broken_connection_is_ended_first(cloud, arguments):
    assert cloud.run(arguments, "0").returncode == 0
    left = subprocess.Popen(
        ["flock", "train.lock", "sh", "-c", "echo $$ >train.pid; exec sleep 60"],
        cwd=cloud.home / "regen_jax",
    )
    while (cloud.home / "regen_jax/train.pid").stat().st_mtime < (
        cloud.fake / "starts"
    ).stat().st_mtime or not (cloud.home / "regen_jax/train.pid").read_text():
        assert left.poll() is None

    assert cloud.run(arguments, "0", "0").returncode == 0
    assert left.wait(timeout=10) != 0


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (["--config=a", "--workdir=/runs/a"], {"ZONE": ""}, "ZONE: such as us-west4-a"),
        (["--config=a", "--workdir=gs://a/b"], {}, "error: --workdir=/runs/… of"),
        (["--workdir=/runs/a"], {}, "error: --config=… of regen_jax.train is needed"),
    ],
)
def test_missing_options_are_named(cloud, arguments, options, message):
    done = cloud.run(arguments, **options)
    assert done.returncode != 0 and message in done.stderr
    assert cloud.lines("calls") == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_accepts_script():
    done = subprocess.run(
        ["shellcheck", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
