"""A sweep on a real cluster: what runs share, and then an array of them."""

import json
import time

import pytest

SWEEP = """
from launch.algebra import grid
get_sweep = lambda: grid("train.prior.steps", 2, 3)
"""

pytestmark = pytest.mark.usefixtures("cluster")


def test_sweep_is_an_array_after_what_its_runs_share(command, tmp_path, tiny_flags):
    (tmp_path / "sweep.py").write_text(SWEEP)
    config, *flags = tiny_flags
    config += ",abstraction=identity,prior=regression"
    flags += ["--config.train.judge.steps=3"]
    workdir = tmp_path / "run"
    sweep = ["launch.sweep", "--on=slurm", config]
    sweep += [f"--sweep={tmp_path}/sweep.py", f"--workdir={workdir}"]
    done = command.run(*sweep, "--", *flags)
    assert done.returncode == 0, done.stderr
    names = ["shared/judge", "steps=2", "steps=3"]
    submitted = [x for x in done.stderr.splitlines() if x.startswith("submitted")]
    assert [line.split()[1] for line in submitted] == names
    shared, first, second = (line.split()[-1] for line in submitted)
    assert first.removesuffix("_0") == second.removesuffix("_1") != shared

    results = [workdir / name / "metrics_validation.json" for name in names[1:]]
    end = time.monotonic() + 300
    while not all(path.exists() for path in results):
        logs = [p.read_text() for p in sorted((workdir / "slurm").glob("*_log.out"))]
        assert time.monotonic() < end, "\n".join(logs)
        time.sleep(0.5)
    for path in results:
        assert "samples/accuracy" in json.loads(path.read_text())
        # It was taken, and not trained again.
        assert not list((path.parent / "judge").glob("events*"))
    assert list((workdir / "shared/judge/judge").glob("events*"))
