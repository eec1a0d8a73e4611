import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
SCRIPTS = ("launch/demo", "launch/test", "launch/environment", ".ci/run")


def test_demo_goes_from_nothing_to_measured_samples(command, tmp_path, digits_dir):
    """The whole script at a tiny size; only pip is left out of it."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\n[ "$2" = pip ] && exit 0\nexec {command.python} "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    environment = os.environ | {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(tmp_path),
        "TFDS_DATA_DIR": str(digits_dir),
    }
    done = subprocess.run(
        [ROOT / "launch/demo", "out/run", "configs/digits.py:size=tiny"],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    workdir = tmp_path / "out/run"
    assert f"Samples:      {workdir}/samples.png" in done.stdout
    assert f"tensorboard.main --logdir={workdir}" in done.stdout
    samples = np.load(workdir / "samples.npz")
    assert samples["y"].shape == (100, 28, 28, 1) and samples["y"].dtype == np.uint8
    with Image.open(workdir / "samples.png") as picture:
        assert picture.format == "PNG" and picture.width > 300
    metrics = json.loads((workdir / "metrics.json").read_text())
    assert {"abstraction/psnr", "samples/accuracy", "real/frechet"} <= set(metrics)
    assert "samples/accuracy" in done.stdout


def test_scripts_are_valid_and_executable():
    for path in ("launch/demo", "launch/test", ".ci/run"):
        assert os.access(ROOT / path, os.X_OK)
    for path in SCRIPTS:
        subprocess.run(["bash", "-n", ROOT / path], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing_in_scripts():
    done = subprocess.run(
        ["shellcheck", "--shell=bash", "--exclude=SC1091", *SCRIPTS],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_ci_installs_what_is_missing_and_goes_on_without_it(tmp_path):
    """With programs in place of Debian's, one of which cannot install a package."""
    programs = {
        "id": "echo 0",
        "dpkg": '[ "$2" = shellcheck ]',
        "apt-get": f'echo "$@" >>{tmp_path}/calls; [ "${{@: -1}}" != chromium ]',
    }
    for folder in (".ci", "launch", "bin"):
        (tmp_path / folder).mkdir()
    programs = {
        f"bin/{name}": f"#!/bin/bash\n{does}\n" for name, does in programs.items()
    }
    programs["launch/test"] = "#!/bin/sh\necho tested\n"
    programs[".ci/run"] = (ROOT / ".ci/run").read_text()
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)
    done = subprocess.run(
        [tmp_path / ".ci/run"],
        env={"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "chromium could not be installed." in done.stdout
    assert done.stdout.endswith("tested\n")
    calls = (tmp_path / "calls").read_text()
    assert "update" in calls and "slurm-wlm" in calls and "shellcheck" not in calls
