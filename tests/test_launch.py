import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent


def test_demo_goes_from_nothing_to_measured_samples(tmp_path, digits_dir):
    """The whole script at a tiny size; only pip is left out of it."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\n[ "$2" = pip ] && exit 0\nexec {sys.executable} "$@"\n'
    )
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    environment = os.environ | {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(tmp_path),
        "TFDS_DATA_DIR": str(digits_dir),
    }
    command = [ROOT / "launch/demo", "out/run", "configs/digits.py:size=tiny"]
    for _ in range(2):  # again, on a finished run
        done = subprocess.run(
            command,
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
    for path in (ROOT / "launch/demo", ROOT / "launch/test", ROOT / ".ci/run"):
        assert os.access(path, os.X_OK)
    for path in ("launch/demo", "launch/test", "launch/environment", ".ci/run"):
        subprocess.run(["bash", "-n", ROOT / path], check=True)
