"""One sweep with nothing stubbed."""

import math
import shutil

import pytest
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

from launch import runs


@pytest.fixture(scope="module")
def real(tmp_path_factory, launched, tiny_flags):
    """A sweep whose first run is the one of `trained`, and whose second must fail."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "sweep.py").write_text(
        "from launch.algebra import over\n"
        "get_sweep = lambda: over('train.prior.learning_rate', 1e-3, 1e20)\n"
    )
    config, *extra = tiny_flags
    workdir = folder / "run"
    flags = [config, f"--sweep={folder}/sweep.py", f"--workdir={workdir}"]
    return workdir, flags, launched("sweep", *flags, "--", *extra)


def test_a_run_of_a_sweep_has_the_bits_of_the_run_alone(
    real, trained, command, tmp_path
):
    workdir, _, done = real
    assert done.returncode == 1, done.stderr
    alone = shutil.copytree(trained, tmp_path / "alone")
    assert command("evaluate", f"--workdir={alone}").returncode == 0
    here, there = (
        runs.metrics(folder) for folder in (workdir / "learning_rate=0.001", alone)
    )
    assert here.keys() == there.keys() and len(here) > 20
    for name, value in here.items():
        if not name.endswith(("_seconds", "per_second")):
            assert value == there[name] or math.isnan(value), name
    log = (workdir / "learning_rate=0.001" / "log").read_text()
    assert "prior 20/20" in log and "abstraction 20/20" not in log


def test_a_real_failure_is_told_and_run_again_alone(real, launched, tiny_flags):
    workdir, flags, done = real
    said = [line for line in done.stderr.splitlines() if "failed" in line]
    assert "learning_rate=1e+20 failed: error: stage 'prior': loss" in said[-1]
    only = "--only=learning_rate=1e+20"
    assert only in done.stderr
    before = (workdir / "shared/abstraction/log").stat().st_mtime_ns
    again = launched("sweep", *flags, only, "--", *tiny_flags[1:])
    assert again.returncode == 1
    assert "1 runs, 0 of them finished, 0 trainings shared" in again.stderr
    assert (workdir / "shared/abstraction/log").stat().st_mtime_ns == before


def test_tensorboard_names_runs_by_what_they_change(real):
    workdir, *_ = real
    board = EventMultiplexer().AddRunsFromDirectory(str(workdir)).Reload()
    found = board.Runs()
    rows = [
        name
        for name, tags in found.items()
        if any(
            tag.startswith("_hparams_/")
            for tag in board.GetAccumulator(name).summary_metadata
        )
    ]
    assert rows == ["learning_rate=0.001"]
    assert "learning_rate=0.001/prior" in found and "shared/abstraction/judge" in found
