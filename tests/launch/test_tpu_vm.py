"""What is rendered for a TPU VM, with a `gcloud` of a few lines in place of Google's."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from launch.render import TpuVm

ROOT = Path(__file__).parent.parent.parent
TPU_VM = {
    "zone": "us-west4-a",
    "accelerator": "v5litepod-16",
    "runtime": "v2-alpha-tpuv5-lite",
    "storage": "10.0.0.2:/runs",
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
        checkout = folder / "checkout"
        for path in (self.home, self.fake, folder / "bin", checkout / "launch"):
            path.mkdir(parents=True)
        for name in ("environment", "constraints.txt"):
            shutil.copy(ROOT / "launch" / name, checkout / "launch")
        for command in (["init", "-q"], ["add", "."]):
            subprocess.run(["git", *command], cwd=checkout, check=True)
        programs = {"gcloud": GCLOUD, "python": PYTHON}
        for name in ("sudo", "sleep", "mountpoint"):
            programs[name] = "#!/bin/sh\n"
        for name, text in programs.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(stat.S_IRWXU)
        self.options = {
            "cwd": checkout,
            "env": {
                "PATH": f"{folder}/bin:{os.environ['PATH']}",
                "HOME": str(self.home),
                "FAKE": str(self.fake),
                "VIRTUAL_ENV": str(folder),
            },
        }

    def run(self, script: str, *statuses: str) -> subprocess.CompletedProcess[str]:
        (self.fake / "statuses").write_text("\n".join(statuses) + "\n")
        return subprocess.run(
            ["bash", "-c", script],
            **self.options,
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


def test_tpu_vm_is_made_and_made_again_after_a_preemption(cloud, arguments):
    script = TpuVm(**TPU_VM, spot=True, prepare=("digits",)).render(arguments)
    done = cloud.run(script, "75", "gone", "0")

    assert done.returncode == 0, done.stdout + done.stderr
    given = (cloud.fake / "arguments").read_text().split("\0")
    assert given == [*arguments, ""]
    assert cloud.lines("calls").count("queued-resources create regen-jax") == 2
    assert cloud.lines("calls").count("queued-resources delete regen-jax") == 1
    assert len(cloud.lines("starts")) == 3
    assert set(cloud.lines("prepared")) == {"digits"}
    assert "gcloud compute tpus queued-resources delete regen-jax" in done.stdout


@pytest.mark.parametrize(
    "statuses, expected", [(["2"], 2), (["75", "1"], 1), (["75"] * 3, 75)]
)
def test_tpu_vm_does_not_try_for_ever(cloud, arguments, statuses, expected):
    done = cloud.run(TpuVm(**TPU_VM, restarts=2).render(arguments), *statuses)

    assert done.returncode == expected, done.stdout + done.stderr
    assert len(cloud.lines("starts")) == len(statuses)


def test_a_run_that_a_broken_connection_left_is_ended_first(cloud, arguments):
    script = TpuVm(**TPU_VM).render(arguments)
    assert cloud.run(script, "0").returncode == 0
    left = subprocess.Popen(
        ["flock", "train.lock", "sh", "-c", "echo $$ >train.pid; exec sleep 60"],
        cwd=cloud.home / "regen_jax",
    )
    while (cloud.home / "regen_jax/train.pid").stat().st_mtime < (
        cloud.fake / "starts"
    ).stat().st_mtime or not (cloud.home / "regen_jax/train.pid").read_text():
        assert left.poll() is None

    assert cloud.run(script, "0", "0").returncode == 0
    assert left.wait(timeout=10) != 0


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing(arguments):
    script = TpuVm(**TPU_VM, spot=True, prepare=("digits",)).render(arguments)
    done = subprocess.run(
        ["shellcheck", "-"], input=script, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
