"""`finalize` runs once after the last step, also in runs that are killed there."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.interfaces import LossOutput
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.stage import Report
from regen_jax.training.start import load_stage


class Killed(BaseException):
    """Stands for SIGKILL."""


class Counted:
    """The toy stage, whose `finalize` and reports are counted, and may be killed."""

    def __init__(self, toy, kill=()):
        self.toy, self.calls, self.kill = toy, [], list(kill)
        self.stage = dataclasses.replace(
            toy.finalizing(self.finalize), report=self.report
        )

    def finalize(self, variables, frozen, batches):
        variables = self.toy.finalizing().finalize(variables, frozen, batches)
        self._call("finalize")
        return variables

    def report(self, variables, frozen):
        self._call("report")
        return Report({"toy/mean": float(variables["moments"]["x"][0])})

    def _call(self, name):
        self.calls.append(name)
        if self.kill[:1] == [name]:
            self.kill.pop(0)
            raise Killed

    def train(self, workdir, **options):
        return self.toy.train(workdir, self.stage, **options)


def assert_same(trained, expected):
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.device_get(trained.variables),
        jax.device_get(expected.variables),
    )


@pytest.fixture(scope="module")
def finished(toy, tmp_path_factory):
    """The folder of a run that nothing stopped, and its stage."""
    workdir = tmp_path_factory.mktemp("finished")
    return workdir, Counted(toy).train(workdir)


def test_finalize_sees_every_example_and_the_averaged_parameters(toy, finished):
    variables = jax.device_get(finished[1].variables)
    params, moments = variables["params"], variables["moments"]
    np.testing.assert_allclose(moments["x"], toy.points.x.mean(0), rtol=1e-5)
    outputs = toy.points.x @ params["kernel"] + params["bias"]
    np.testing.assert_allclose(moments["outputs"], outputs.mean(0), rtol=1e-5)


def test_finished_stage_is_not_finalized_again(toy, finished):
    workdir, trained = finished
    counted = Counted(toy)
    assert_same(counted.train(workdir), trained)
    assert counted.calls == []
    loaded = load_stage(counted.stage, toy.options(), workdir, toy.batch(2))
    assert_same(loaded, trained)


@pytest.mark.parametrize(
    "kill, calls",
    [
        # The run goes on from step 4, and reports nothing before it is finalized.
        (["finalize", "finalize"], ["finalize"] * 3 + ["report"]),
        (["report"], ["finalize", "report", "report"]),
    ],
)
def test_run_killed_after_its_last_step_is_finalized_once_more_if_it_was_not_saved(
    toy, tmp_path, finished, kill, calls
):
    counted = Counted(toy, kill)
    for _ in kill:
        with pytest.raises(Killed):
            counted.train(tmp_path)
    assert_same(counted.train(tmp_path), finished[1])
    assert counted.calls == calls


def test_run_stopped_at_its_last_step_saves_what_it_finalized(toy, tmp_path, finished):
    class AtLastStep(Preemption):
        def due(self, step):
            return step == 6

    counted = Counted(toy)
    with pytest.raises(Preempted):
        counted.train(tmp_path, preemption=AtLastStep())
    assert_same(counted.train(tmp_path), finished[1])
    assert counted.calls == ["finalize", "report"]


def test_stage_of_another_run_is_taken_as_finalized(toy, tmp_path, finished):
    workdir, trained = finished
    counted = Counted(toy)
    options = toy.options(init_from=str(workdir))
    assert_same(counted.train(tmp_path, options=options), trained)
    assert counted.calls == []


@pytest.mark.parametrize(
    "parallel",
    [
        ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1),
        ParallelOptions("pmap"),
    ],
    ids=["data4-fsdp2", "pmap8"],
)
def test_finalize_on_several_devices_equals_one(toy, tmp_path, finished, parallel):
    strategy = make_strategy(parallel)
    trained = Counted(toy).train(tmp_path, strategy=strategy)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        jax.device_get(trained.variables["moments"]),
        jax.device_get(finished[1].variables["moments"]),
    )
    again = Counted(toy)
    assert_same(again.train(tmp_path, strategy=strategy), trained)
    assert again.calls == []


def test_finalize_that_changes_a_shape_raises_value_error(toy, tmp_path):
    def finalize(variables, frozen, batches):
        return {**variables, "moments": {"x": jnp.zeros(3)}}

    with pytest.raises(ValueError, match="finalize of stage 'toy' returned"):
        toy.train(tmp_path, toy.finalizing(finalize))


class Parameterless(Counted):
    """A stage that takes no steps: the mean of x, which `finalize` computes."""

    def __init__(self, toy, kill=()):
        super().__init__(toy, kill)
        self.stage = dataclasses.replace(
            self.stage,
            init=lambda rng, batch: {"params": {}, "moments": {"x": jnp.zeros(8)}},
            loss=lambda variables, frozen, keys, batch, train: LossOutput(
                jnp.square(batch["x"] - variables["moments"]["x"]).mean(axis=1)
            ),
            parametric=False,
        )

    def finalize(self, variables, frozen, batches):
        # A second pass sees the same examples.
        total = sum(batch["x"].sum(axis=0) for batch in batches)
        number = sum(len(batch["x"]) for batch in batches)
        self._call("finalize")
        return {**variables, "moments": {"x": jnp.asarray(total / number)}}

    def train(self, workdir, **options):
        return super().train(workdir, options=self.toy.options(steps=0), **options)


@pytest.mark.parametrize(
    "kill, calls",
    [
        ([], ["finalize", "report"]),
        (["finalize"], ["finalize", "finalize", "report"]),
        (["report"], ["finalize", "report", "report"]),
    ],
)
def test_stage_without_steps_is_finalized_reported_and_saved_once(
    toy, tmp_path, kill, calls
):
    counted = Parameterless(toy, kill)
    for _ in kill:
        with pytest.raises(Killed):
            counted.train(tmp_path)
    trained = counted.train(tmp_path)
    np.testing.assert_allclose(
        trained.variables["moments"]["x"], toy.points.x.mean(0), rtol=1e-4
    )
    assert counted.calls == calls and trained.steps == 0
    assert_same(counted.train(tmp_path), trained)
    assert counted.calls == calls
    loaded = load_stage(counted.stage, toy.options(steps=0), tmp_path, toy.batch(2))
    assert_same(loaded, trained)
