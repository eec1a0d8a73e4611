"""One sweep with nothing stubbed."""

import json

import pytest
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

from regen_jax.cli.workdir import read_metrics


@pytest.fixture
def sweep(swept):
    with swept() as folder:
        yield folder


def test_run_of_sweep_equals_run_alone_bit_for_bit(sweep, evaluated):
    run = sweep / "runs/learning_rate=0.001"
    here, there = (read_metrics(folder, "validation") for folder in (run, evaluated))
    assert here.keys() == there.keys() and len(here) > 20
    for name, value in here.items():
        if not name.endswith(("seconds", "per_second")):
            assert value == there[name], name
    log = (run / "log").read_text()
    assert "prior 20/20" in log and "abstraction 20/20" not in log


def test_failed_run_is_logged_and_can_be_rerun_alone(sweep, command):
    first = (sweep / "stderr").read_text()
    failures = [line for line in first.splitlines() if "failed" in line]
    assert "learning_rate=1e+20 failed: error: stage 'prior': loss" in failures[-1]
    only = "--only=learning_rate=1e+20"
    assert only in first
    log = sweep / "runs/shared/abstraction/log"
    before = log.stat().st_mtime_ns
    flags = json.loads((sweep / "command").read_text())
    flags.insert(flags.index("--"), only)
    rerun = command.run(*flags)
    assert rerun.returncode == 1
    assert "1 runs, 0 of them finished, 0 trainings shared" in rerun.stderr
    assert log.stat().st_mtime_ns == before


def test_tensorboard_shows_names_of_runs(sweep):
    board = EventMultiplexer().AddRunsFromDirectory(str(sweep / "runs")).Reload()
    runs_found = board.Runs()
    rows = [
        name
        for name, tags in runs_found.items()
        if any(
            tag.startswith("_hparams_/")
            for tag in board.GetAccumulator(name).summary_metadata
        )
    ]
    assert sorted(rows) == ["learning_rate=0.001", "learning_rate=0.002"]
    assert (
        "learning_rate=0.001/prior" in runs_found
        and "shared/abstraction/judge" in runs_found
    )
