"""SIGTERM at any moment of a run: it saves, leaves, and goes on to the same bits."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.stage import Report


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def leaves(trained):
    return [np.asarray(x) for x in jax.tree.leaves(trained.variables)]


def assert_same(found, expected):
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_is_raised_at_once_and_the_handler_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted), Preemption():
        terminate()
    assert signal.getsignal(signal.SIGTERM) is before


def test_deferred_it_waits():
    with Preemption() as preemption, preemption.deferred():
        assert not preemption.due(3)
        terminate()
        assert preemption.due(4)
        with pytest.raises(Preempted), preemption.at_once():
            pytest.fail("it was told before")
    with (
        pytest.raises(Preempted),
        Preemption() as preemption,
        preemption.deferred(),
        preemption.at_once(),
    ):
        terminate()


class Signalled:
    """Batches that bring SIGTERM when that many were taken."""

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
def test_stopped_at_a_step_it_saves_that_step(toy, tmp_path, step):
    expected = toy.train(tmp_path / "whole")
    with pytest.raises(Preempted), Preemption() as preemption:
        toy.train(
            tmp_path / "run",
            every=100,
            batches=lambda: Signalled(toy.batches(), step),
            preemption=preemption,
        )
    saved = tmp_path / "run" / "toy" / "checkpoints"
    assert [path.name for path in saved.iterdir()] == [str(step)]
    assert_same(toy.train(tmp_path / "run", every=100), expected)


def test_a_report_that_was_cut_short_is_made_after_the_next_start(toy, tmp_path):
    whole, reported = [], []

    def cut_short(bias):
        reported.append("cut" if len(reported) == 1 else bias)
        if reported[-1] == "cut":
            terminate()

    def train(folder, seen):
        def report(variables, frozen):
            seen(float(variables["params"]["bias"].sum()))
            return Report()

        stage = dataclasses.replace(toy.stage, report=report)
        with Preemption() as preemption:
            toy.train(folder, stage, evaluate_every=3, preemption=preemption)

    train(tmp_path / "whole", whole.append)
    with pytest.raises(Preempted):
        train(tmp_path / "run", cut_short)
    assert reported == [whole[0], "cut"]
    for _ in range(2):  # The second time, nothing is owed.
        train(tmp_path / "run", cut_short)
        assert reported == [whole[0], "cut", whole[1]]
