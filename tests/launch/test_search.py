import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from launch import runs, search
from launch.commands import Options
from launch.search import open_study, read_curve
from launch.search_space import Search
from launch.sweep import run_sweep
from regen_jax.errors import UserError
from regen_jax.media.tensorboard import SummaryWriter

ROOT = Path(__file__).parent.parent.parent
CONFIG = f"{ROOT}/configs/digits.py:size=tiny"
DROPOUT = "{'prior.dropout': FloatDistribution(0, 0.3)}"


@pytest.fixture
def options(tmp_path, digits_dir):
    """Options of a search over the prior's dropout, best at 0.1."""
    write_search(tmp_path, trials=8)
    data = f"--config.data.dir={digits_dir}"
    return Options(CONFIG, tmp_path / "search.py", tmp_path / "run", extra=[data])


def write_search(folder, space=DROPOUT, **options):
    options = {"metric": "prior/nll"} | options
    text = ", ".join(f"{name}={value!r}" for name, value in options.items())
    (folder / "search.py").write_text(
        "from optuna.distributions import *\n"
        "from launch.search_space import Search\n"
        f"get_search = lambda: Search({space}, {text})\n"
    )


def read_trials(options):
    search = Search({"a": FloatDistribution(0, 1)}, "b")
    return open_study(search, options.workdir).trials


def test_search_finds_best_trial_and_logs_its_command(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    assert run_sweep(options) == 0
    trials = read_trials(options)
    assert [t.state.name for t in trials] == ["COMPLETE"] * 8
    values = [t.params["prior.dropout"] for t in trials]
    assert [t.value for t in trials] == [abs(v - 0.1) for v in values]
    assert len(set(values)) == 8 and all(0 <= v <= 0.3 for v in values)
    best = min(trials, key=lambda t: t.value)
    assert f"best is trial-{best.number:03d} with prior/nll" in caplog.text
    advice = caplog.text.splitlines()[-1]
    flag = f"--config.prior.dropout={best.params['prior.dropout']!r} --workdir="
    assert flag in advice
    # The tokenizer and the judge were trained once.
    calls = [line.split()[1] for line in stub.calls()]
    assert calls[0] == "abstraction" and calls.count("abstraction") == 1

    # Again it is over at once; more trials are the same search, another space is not.
    assert run_sweep(options) == 0 and len(stub.calls()) == len(calls)
    write_search(options.sweep.parent, trials=9)
    assert run_sweep(options) == 0 and len(read_trials(options)) == 9
    write_search(options.sweep.parent, "{'prior.dropout': FloatDistribution(0, 0.2)}")
    with pytest.raises(UserError, match=r"holds another sweep: sweep\.search\.space"):
        run_sweep(options)


def test_stopped_search_continues_as_if_never_stopped(options, stub, tmp_path):
    assert run_sweep(options) == 0
    expected = [t.params for t in read_trials(options)]

    other = dataclasses.replace(options, workdir=tmp_path / "other")
    stub.order("train", "trial-003", "wait")

    def stop():
        log = other.workdir / "trial-003" / "log"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if log.exists() and "waiting" in log.read_text():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.01)

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert run_sweep(other) == 75
    stopper.join()
    states = [t.state.name for t in read_trials(other)]
    assert states == ["COMPLETE"] * 3 + ["RUNNING"]
    stub.forget()
    assert run_sweep(other) == 0
    assert [t.params for t in read_trials(other)] == expected


def test_poor_trials_are_pruned_and_failed_trials_count(
    options, stub, monkeypatch, caplog
):
    caplog.set_level("INFO", "launch")
    monkeypatch.setattr(search, "READ_SECONDS", 0.01)

    def read_curve(folder, metric):
        if folder.name < "trial-003":
            return {5: 1.0}
        log = folder / "log"
        return {5: 9.0} if log.exists() and "waiting" in log.read_text() else {}

    monkeypatch.setattr(search, "read_curve", read_curve)
    for name in ("trial-000", "trial-001", "trial-002"):
        stub.order("train", name, "slow")
    stub.order("train", "trial-003", "wait")
    stub.order("train", "trial-004", "fail")
    write_search(options.sweep.parent, trials=6, warmup_trials=2)
    assert run_sweep(options) == 0
    states = [t.state.name for t in read_trials(options)]
    assert states == ["COMPLETE"] * 3 + ["PRUNED", "FAIL", "COMPLETE"]
    assert "pruned    trial-003" in caplog.text
    assert (options.workdir / "trial-003/log").read_text().endswith("saved\n")
    assert "trial-004 failed: error: it does not work" in caplog.text
    assert not runs.finished(options.workdir / "trial-003", "validation")


def test_parallel_trials_wait_for_what_they_share(options, stub):
    stub.order("train", "abstraction", "slow")
    assert run_sweep(dataclasses.replace(options, parallel=2)) == 0
    calls = [line.rsplit(" ", 1)[0] for line in stub.calls()]
    assert calls[0] == "train abstraction" and calls.count(calls[0]) == 1
    assert {t.state.name for t in read_trials(options)} == {"COMPLETE"}


def test_failure_of_what_trials_share_ends_search(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    stub.order("train", "abstraction", "fail")
    assert run_sweep(dataclasses.replace(options, parallel=2)) == 1
    assert len(stub.calls()) == 1
    assert "shared/abstraction failed: error: it does not work" in caplog.text
    stub.forget()
    assert run_sweep(options) == 0
    assert [t.state.name for t in read_trials(options)] == ["COMPLETE"] * 8


def test_search_on_test_split_raises_user_error(options, stub):
    with pytest.raises(UserError, match="chooses by the validation split"):
        run_sweep(dataclasses.replace(options, split="test"))
    assert not options.workdir.exists()


def test_values_that_make_no_config_fail_only_their_trial(options, stub):
    # An odd number of heads does not divide the width.
    space = "{'prior.num_heads': IntDistribution(1, 16)}"
    write_search(options.sweep.parent, space, trials=5)
    assert run_sweep(options) == 0
    for trial in read_trials(options):
        fits = 16 % trial.params["prior.num_heads"] == 0
        assert trial.state.name == ("COMPLETE" if fits else "FAIL")


def test_unknown_metric_raises_user_error(options, stub):
    write_search(options.sweep.parent, metric="prior/nil")
    message = "has no metric 'prior/nil': known are prior/nll"
    with pytest.raises(UserError, match=message):
        run_sweep(options)


@pytest.mark.parametrize(
    "space, changes, message",
    [
        (
            "{'prior.dropuot': FloatDistribution(0, 1)}",
            {},
            "dropuot is not an option",
        ),
        (
            "{'prior.top_p': FloatDistribution(0.5, 2)}",
            {},
            "at {'prior.top_p': 2.0}: .*top_p",
        ),
        (
            "{'prior.dropout': FloatDistribution(0.3, 0.1)}",
            {},
            "`low <= high` must hold",
        ),
        ("{':abstraction': ['vq', 'dwt']}", {}, "cannot be 'dwt'"),
        ("{}", {}, "space must be a dict"),
        (None, {"on": "slurm"}, "submit this command itself as a job"),
        (None, {"only": ["trial-000"]}, "--only are for sweeps"),
    ],
)
def test_invalid_search_raises_user_error_and_writes_nothing(
    options, space, changes, message
):
    if space:
        write_search(options.sweep.parent, space)
    with pytest.raises(UserError, match=message) as error:
        run_sweep(dataclasses.replace(options, **changes))
    assert "\n" not in str(error.value)
    assert not options.workdir.exists()


def test_corners_are_all_choices_at_both_ends():
    space = {":abstraction": ["vq", "fsq"], "prior.width": IntDistribution(1, 9)}
    corners = Search(space, "prior/nll").corners()
    assert [tuple(corner.values()) for corner in corners] == [
        ("vq", 1),
        ("vq", 9),
        ("fsq", 1),
        ("fsq", 9),
    ]


def test_curve_contains_values_of_all_stages_so_far(tmp_path):
    assert read_curve(tmp_path, "prior/nll") == {}
    with SummaryWriter(tmp_path / "prior") as first:
        first.write_scalars(5, {"prior/nll": 2.0, "prior/loss": 3.0})
        first.flush()
        assert read_curve(tmp_path, "prior/nll") == {5: 2.0}
        first.write_scalars(10, {"prior/nll": 1.5})
    # Started again from step 8, it writes step 10 once more.
    with SummaryWriter(tmp_path / "prior", purge_step=9) as second:
        second.write_scalars(10, {"prior/nll": 1.25})
        second.write_scalars(15, {"prior/nll": 1.0})
    with SummaryWriter(tmp_path / "judge") as other:
        other.write_scalars(20, {"judge/loss": 1.0})
    assert read_curve(tmp_path, "prior/nll") == {5: 2.0, 10: 1.25, 15: 1.0}


def test_dry_run_of_search_prints_commands_and_writes_nothing(options, capsys):
    assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    output = capsys.readouterr().out
    assert "--stop_after=abstraction" in output and "# trial-000" in output
    assert "8 trials in all" in output and not options.workdir.exists()


def test_tuples_as_choices_survive_a_restart(options, stub):
    space = "{'abstraction.networks.widths': [(4, 8)]}"
    write_search(options.sweep.parent, space, trials=1)
    assert run_sweep(options) == 0
    memory = json.loads((options.workdir / "sweep.json").read_text())
    widths = memory["search"]["space"]["abstraction.networks.widths"]
    assert widths["attributes"]["choices"] == ["[4, 8]"]
    flags = read_trials(options)[0].user_attrs["flags"]
    assert "--config.abstraction.networks.widths=(4, 8)" in flags
    assert run_sweep(options) == 0
