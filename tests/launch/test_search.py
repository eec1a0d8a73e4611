import dataclasses
import json
import math
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from launch import runs, search
from launch.algebra import Search, choice, integer, uniform
from launch.curves import Curve
from launch.search import corners, open_study
from launch.sweep import Options, run_sweep
from regen_jax.errors import UserError
from regen_jax.media.tensorboard import SummaryWriter

ROOT = Path(__file__).parent.parent.parent
CONFIG = f"{ROOT}/configs/digits.py:size=tiny"


@pytest.fixture
def options(tmp_path, digits_dir):
    """Options of a search over the prior's dropout, best at 0.1."""
    asking(tmp_path, trials=8)
    data = f"--config.data.dir={digits_dir}"
    return Options(CONFIG, tmp_path / "ask.py", tmp_path / "run", extra=[data])


def asking(folder, space="[uniform('prior.dropout', 0, .3)]", **given):
    given = {"metric": "prior/nll"} | given
    text = ", ".join(f"{name}={value!r}" for name, value in given.items())
    (folder / "ask.py").write_text(
        f"from launch.algebra import *\nget_search = lambda: Search({space}, {text})\n"
    )


def trials(options, **given):
    return open_study(
        Search([uniform("a", 0, 1)], "b", **given), options.workdir
    ).trials


def test_a_search_finds_what_is_best_and_tells_how_to_run_it(options, stub, caplog):
    caplog.set_level("INFO", "launch")
    assert run_sweep(options) == 0
    found = trials(options)
    assert [t.state.name for t in found] == ["COMPLETE"] * 8
    values = [t.params["prior.dropout"] for t in found]
    assert [t.value for t in found] == [abs(v - 0.1) for v in values]
    assert len(set(values)) == 8 and all(0 <= v <= 0.3 for v in values)
    best = min(found, key=lambda t: t.value)
    assert f"best is trial-{best.number:03d} with prior/nll" in caplog.text
    again = caplog.text.splitlines()[-1]
    assert (
        f"--config.prior.dropout={best.params['prior.dropout']!r} --workdir=" in again
    )
    # The tokenizer and the judge were trained once.
    order = [line.split()[1] for line in stub.order()]
    assert order[0] == "abstraction" and order.count("abstraction") == 1

    # Again it is over at once; more trials are the same search, another space is not.
    assert run_sweep(options) == 0 and len(stub.order()) == len(order)
    asking(options.sweep.parent, trials=9)
    assert run_sweep(options) == 0 and len(trials(options)) == 9
    asking(options.sweep.parent, "[uniform('prior.dropout', 0, .2)]")
    with pytest.raises(UserError, match="holds another sweep: search space"):
        run_sweep(options)


def test_a_stopped_search_goes_on_as_it_would_have(options, stub, tmp_path):
    assert run_sweep(options) == 0
    whole = [t.params for t in trials(options)]

    other = dataclasses.replace(options, workdir=tmp_path / "other")
    stub.says("train", "trial-003", "wait")

    def stop():
        log = other.workdir / "trial-003" / "log"
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            if log.exists() and "waiting" in log.read_text():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.01)

    stopper = threading.Thread(target=stop)
    stopper.start()
    assert run_sweep(other) == 75
    stopper.join()
    assert [t.state.name for t in trials(other)] == ["COMPLETE"] * 3 + ["RUNNING"]
    stub.forget()
    assert run_sweep(other) == 0
    assert [t.params for t in trials(other)] == whole


def test_poor_trials_are_pruned_and_failed_ones_counted(
    options, stub, monkeypatch, caplog
):
    caplog.set_level("INFO", "launch")
    monkeypatch.setattr(search, "READ_SECONDS", 0)
    curve = {f"trial-{i:03d}": {5: 1.0} for i in range(3)} | {"trial-003": {5: 9.0}}
    monkeypatch.setattr(Curve, "read", lambda self: curve.get(self._folder.name, {}))
    for name in ("trial-003", "trial-004"):
        stub.says("train", name, "wait" if name == "trial-003" else "fail")
    asking(options.sweep.parent, trials=6, warmup_trials=2)
    assert run_sweep(options) == 0
    states = [t.state.name for t in trials(options)]
    assert states == ["COMPLETE"] * 3 + ["PRUNED", "FAIL", "COMPLETE"]
    assert "pruned    trial-003" in caplog.text
    assert "trial-004 failed: error: it does not work" in caplog.text
    assert not runs.finished(options.workdir / "trial-003", "validation")


def test_a_search_never_reads_the_test_split(options, stub):
    with pytest.raises(UserError, match="chooses by the validation split"):
        run_sweep(dataclasses.replace(options, split="test"))
    assert not options.workdir.exists()


def test_values_that_do_not_go_together_fail_alone(options, stub):
    # An odd number of heads does not divide the width.
    asking(options.sweep.parent, "[integer('prior.num_heads', 1, 16)]", trials=5)
    assert run_sweep(options) == 0
    for trial in trials(options):
        fits = 16 % trial.params["prior.num_heads"] == 0
        assert trial.state.name == ("COMPLETE" if fits else "FAIL")


def test_a_metric_that_is_not_there(options, stub):
    asking(options.sweep.parent, metric="prior/nil")
    with pytest.raises(
        UserError, match="has no metric 'prior/nil': known are prior/nl"
    ):
        run_sweep(options)


@pytest.mark.parametrize(
    "space, given, words",
    [
        ("[uniform('prior.dropuot', 0, 1)]", {}, "dropuot is not an option"),
        ("[uniform('prior.top_p', 0.5, 2)]", {}, "at {'prior.top_p': 2.0}: .*top_p"),
        ("[choice(':abstraction', 'vq', 'dwt')]", {}, "cannot be 'dwt'"),
        ("[]", {}, "space must be a list"),
        (None, {"on": "slurm"}, "submit this command itself as a job"),
        (None, {"only": ["trial-000"]}, "--only are for sweeps"),
    ],
)
def test_bad_searches_are_one_line_and_write_nothing(options, space, given, words):
    if space:
        asking(options.sweep.parent, space)
    with pytest.raises(UserError, match=words):
        run_sweep(dataclasses.replace(options, **given))
    assert not options.workdir.exists()


def test_corners_are_all_choices_at_both_ends():
    asked = Search(
        [choice(":abstraction", "vq", "fsq"), integer("prior.width", 1, 9)], "prior/nll"
    )
    assert [tuple(corner.values()) for corner in corners(asked)] == [
        ("vq", 1),
        ("vq", 9),
        ("fsq", 1),
        ("fsq", 9),
    ]


def test_a_curve_is_read_as_it_grows(tmp_path):
    curve = Curve(tmp_path, "prior/nll")
    assert curve.read() == {}
    with SummaryWriter(tmp_path / "prior") as first:
        first.write_scalars(5, {"prior/nll": 2.0, "prior/loss": 3.0})
        first.flush()
        assert curve.read() == {5: 2.0}
        first.write_scalars(10, {"prior/nll": 1.5})
    # Started again from step 8, it writes step 10 once more.
    with SummaryWriter(tmp_path / "prior", purge_step=9) as second:
        second.write_scalars(10, {"prior/nll": 1.25})
        second.write_scalars(15, {"prior/nll": 1.0})
    with SummaryWriter(tmp_path / "judge") as other:
        other.write_scalars(20, {"judge/loss": 1.0})
    found = curve.read()
    assert found == {5: 2.0, 10: 1.25, 15: 1.0}
    assert all(math.isfinite(value) for value in found.values())


def test_a_dry_run_of_a_search(options, capsys):
    assert run_sweep(dataclasses.replace(options, dry_run=True)) == 0
    told = capsys.readouterr().out
    assert "--stop_after=abstraction" in told and "# trial-000" in told
    assert "8 trials in all" in told and not options.workdir.exists()


def test_the_memory_is_json(options, stub):
    asking(
        options.sweep.parent,
        "[choice('abstraction.networks.widths', (4, 8))]",
        trials=1,
    )
    assert run_sweep(options) == 0
    memory = json.loads((options.workdir / "sweep.json").read_text())
    assert memory["search"]["space"][0]["values"] == [[4, 8]]
    flags = trials(options)[0].user_attrs["flags"]
    assert "--config.abstraction.networks.widths=(4, 8)" in flags
    assert run_sweep(options) == 0
