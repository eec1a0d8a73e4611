"""A run that gets SIGTERM saves, exits, and resumes to the same bits."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regen_jax.training.checkpoint import Checkpoints
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.progress import Progress
from regen_jax.training.stage import Report


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def leaves(trained):
    return [np.asarray(x) for x in jax.tree.leaves(trained.variables)]


def assert_same(actual, expected):
    for a, b in zip(leaves(actual), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_signal_raises_at_once_and_the_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted), Preemption():
        terminate()
    assert signal.getsignal(signal.SIGTERM) is before


def test_deferred_signal_raises_at_the_end_of_the_block():
    with Preemption() as preemption, preemption.deferred():
        assert not preemption.due(3)
        terminate()
        assert preemption.due(4)
        with pytest.raises(Preempted), preemption.at_once():
            pytest.fail("the signal came before")
    with (
        pytest.raises(Preempted),
        Preemption() as preemption,
        preemption.deferred(),
        preemption.at_once(),
    ):
        terminate()


class Signalled:
    """Batches that raise SIGTERM after some number of them."""

    def __init__(self, batches, after):
        self.batches, self.left = batches, after

    def __next__(self):
        self.left -= 1
        if self.left == 0:
            terminate()
        return next(self.batches)

    def __getattr__(self, name):
        return getattr(self.batches, name)


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_run_stopped_at_a_step_saves_that_step(toy, whole, tmp_path, step):
    with pytest.raises(Preempted), Preemption() as preemption:
        toy.train(
            tmp_path / "run",
            every=100,
            batches=lambda: Signalled(toy.batches(), step),
            preemption=preemption,
        )
    saved = tmp_path / "run" / "toy" / "checkpoints"
    assert [path.name for path in saved.iterdir()] == [str(step)]
    assert_same(toy.train(tmp_path / "run", every=100), toy.train(whole))


class Killed(BaseException):
    """Stands for SIGKILL."""


def test_report_cut_short_at_any_moment_is_made_after_the_next_start(
    toy, tmp_path, monkeypatch
):
    """Killed at step 1 before the save, at 2 and 3 in the report, at 5 by SIGTERM."""
    save, note = Checkpoints.save, Progress.note
    moments = ["save 1", "report 2", "note 3", "report 5"]

    def strike(action, step):
        if moments[:1] == [f"{action} {step}"]:
            moments.pop(0)
            if step == 5:
                terminate()
            raise Killed

    def train(folder):
        def report(variables, frozen):
            bias = float(variables["params"]["bias"].sum())
            strike("report", reports.index(bias) + 1 if folder == "run" else 0)
            return Report({"toy/bias": bias})

        stage = dataclasses.replace(toy.stage, report=report)
        with Preemption() as preemption:
            toy.train(
                tmp_path / folder,
                stage,
                evaluate_every=1,
                every=100,
                preemption=preemption,
            )

    def curve(folder, tag):
        events = EventAccumulator(str(tmp_path / folder / "toy")).Reload()
        return [(event.step, event.value) for event in events.Scalars(tag)]

    train("whole")
    reports = [np.float32(value) for _, value in curve("whole", "toy/bias")]
    assert len(reports) == 6
    monkeypatch.setattr(
        Checkpoints,
        "save",
        lambda self, state, *rest: (
            strike("save", int(state.step)) or save(self, state, *rest)
        ),
    )
    monkeypatch.setattr(
        Progress,
        "note",
        lambda self, step, scalars: strike("note", step) or note(self, step, scalars),
    )
    for stop in (Killed, Killed, Killed, Preempted):
        with pytest.raises(stop):
            train("run")
    assert moments == []
    for _ in range(2):  # The second time, nothing is pending.
        train("run")
        for tag in ("toy/bias", "train/loss", "train/grad_norm"):
            assert curve("run", tag) == curve("whole", tag)
    assert not list((tmp_path / "run" / "toy").glob("unreported*"))


def test_report_that_fails_is_logged_in_one_line_and_training_goes_on(
    toy, tmp_path, caplog
):
    def report(variables, frozen):
        raise ValueError("no value\nfor one sample")

    stage = dataclasses.replace(toy.stage, report=report)
    with caplog.at_level("INFO", "regen_jax"):
        trained = toy.train(tmp_path, stage, evaluate_every=4, every=100)
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        f"the report of stage 'toy' at step {step} failed (ValueError: no value for one "
        "sample); training goes on"
        for step in (4, 6)
    ]
    assert {path.name for path in (tmp_path / "toy/checkpoints").iterdir()} == {
        "4",
        "6",
    }
    # It is not pending.
    before = len(caplog.records)
    assert_same(toy.train(tmp_path, stage, evaluate_every=4), trained)
    assert len(caplog.records) == before
