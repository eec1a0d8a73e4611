import contextlib
import dataclasses
import functools
import shutil
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from regen_jax.errors import UserError
from regen_jax.media.media import Media
from regen_jax.training.checkpoint import CheckpointOptions, Checkpoints
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.progress import Progress
from regen_jax.training.schedules.warmup_cosine import WarmupCosine
from regen_jax.training.stage import Report
from regen_jax.training.start import load_stage, stage_rng
from regen_jax.training.step import create, train_step


class Stopped(Exception):
    """Raised by a test to stop a run."""


@contextlib.contextmanager
def stopped_at(step):
    """Stops a run that logs every step, before it evaluates or saves at that one."""
    show = Progress.show

    def stop(self, now, scalars):
        show(self, now, scalars)
        if now == step:
            raise Stopped

    with mock.patch.object(Progress, "show", stop), pytest.raises(Stopped):
        yield


def saved(toy, workdir, options=None):
    """The last state of the toy stage, and the position of its data iterator."""
    options = options or toy.options()
    init = functools.partial(
        create, toy.stage, options, jax.random.key(0), toy.batch(options.batch_size)
    )
    iterator = toy.batches(options.batch_size)
    checkpoints = Checkpoints(workdir, "toy", CheckpointOptions())
    with contextlib.closing(checkpoints):
        state, _ = checkpoints.restore(jax.eval_shape(init), iterator)
    return jax.device_get(state), iterator.get_state()


def assert_same(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def scalars(workdir, tag):
    """Returns the (step, value) pairs that TensorBoard displays after all starts."""
    events = EventAccumulator(str(workdir), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
    }


def test_start_of_a_new_stage_is_traced_once(toy, tmp_path):
    starts = []

    def init(rng, batch):
        starts.append(rng)
        return toy.stage.init(rng, batch)

    stage = dataclasses.replace(toy.stage, init=init)
    toy.train(tmp_path, stage, toy.options(steps=1))
    assert len(starts) == 1


def test_run_takes_its_steps_and_logs_their_losses(toy, whole):
    options = toy.options()
    rng = stage_rng(5, "toy")
    state = create(toy.stage, options, rng, toy.batch())
    step = jax.jit(functools.partial(train_step, toy.stage, options, Reduction()))
    losses, batches = [], toy.batches()
    for _ in range(6):
        state, metrics = step(state, {}, next(batches), rng)
        losses.append(float(metrics["loss"]))
    restored, position = saved(toy, whole)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        restored,
        jax.device_get(state),
    )
    assert position == batches.get_state()
    steps, values = zip(*scalars(whole / "toy", "train/loss"), strict=True)
    assert steps == (1, 2, 3, 4, 5, 6)
    np.testing.assert_allclose(values, losses, rtol=1e-5)


def test_run_stopped_at_every_step_gives_the_same_bits(toy, whole, tmp_path):
    for step in range(1, 7):
        with stopped_at(step):
            toy.train(tmp_path)
    trained = toy.train(tmp_path)
    expected = saved(toy, whole)
    assert_same(saved(toy, tmp_path), expected)
    assert_same(jax.device_get(trained.variables), expected[0].averaged)
    for tag in ("train/loss", "train/grad_norm", "train/worst", "train/learning_rate"):
        assert scalars(tmp_path / "toy", tag) == scalars(whole / "toy", tag)


def test_seconds_are_summed_over_starts(toy, tmp_path):
    with stopped_at(5):
        toy.train(tmp_path)
    options, batch = toy.options(), toy.batch()
    checkpoints = Checkpoints(tmp_path, "toy", CheckpointOptions())
    shapes = jax.eval_shape(
        functools.partial(create, toy.stage, options, jax.random.key(0), batch)
    )
    _, before = checkpoints.restore(shapes)
    checkpoints.close()
    trained = toy.train(tmp_path)
    assert trained.seconds > before > 0
    assert load_stage(toy.stage, options, tmp_path, batch).seconds == trained.seconds


def test_finished_stage_is_not_trained_again(toy, whole):
    calls = []

    def loss(*args):
        calls.append(args)
        return toy.stage.loss(*args)

    before = snapshot(whole)
    trained = toy.train(whole, dataclasses.replace(toy.stage, loss=loss))
    assert calls == [] and snapshot(whole) == before
    assert_same(jax.device_get(trained.variables), saved(toy, whole)[0].averaged)


def test_load_stage_returns_a_finished_stage(toy, whole):
    trained = load_stage(toy.stage, toy.options(), whole, toy.batch(2))
    assert_same(jax.device_get(trained.variables), saved(toy, whole)[0].averaged)


def test_load_stage_that_is_not_finished_raises_user_error(toy, whole, tmp_path):
    with pytest.raises(UserError, match="stage 'toy' in .* has 6 of 7 steps"):
        load_stage(toy.stage, toy.options(steps=7), whole, toy.batch(2))
    with pytest.raises(UserError, match="stage 'toy' in .* has 0 of 6 steps"):
        load_stage(toy.stage, toy.options(), tmp_path, toy.batch(2))


def test_stage_of_another_run_is_copied(toy, whole, tmp_path):
    # Another learning rate would show if it were trained.
    options = toy.options(init_from=str(whole), schedule=WarmupCosine(1.0))
    expected, _ = saved(toy, whole)
    before = snapshot(whole)
    # What a kill leaves of a copy.
    (tmp_path / "toy/checkpoints/6.orbax-checkpoint-tmp/state").mkdir(parents=True)
    for _ in range(2):
        trained = toy.train(tmp_path, options=options)
        assert_same(jax.device_get(trained.variables), expected.averaged)
    assert snapshot(whole) == before
    loaded = load_stage(toy.stage, options, tmp_path, toy.batch(2))
    assert_same(jax.device_get(loaded.variables), expected.averaged)


def test_init_from_a_folder_without_the_stage_raises_user_error(toy, tmp_path):
    options = toy.options(init_from=str(tmp_path / "other"))
    words = "config.train.toy.init_from: .*other has no checkpoint of stage 'toy'"
    with pytest.raises(UserError, match=words):
        toy.train(tmp_path / "run", options=options)
    assert not (tmp_path / "other").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("collected")
def test_stage_whose_last_step_is_damaged_is_not_imported(toy, whole, tmp_path):
    source = shutil.copytree(whole, tmp_path / "source")
    (source / "toy/checkpoints/6/state/_METADATA").write_text("{")
    options = toy.options(init_from=str(source))
    with pytest.raises(UserError, match="cannot give the last step of stage 'toy'"):
        toy.train(tmp_path / "run", options=options)
    assert not (tmp_path / "run/toy/checkpoints").exists()
    assert not (source / "toy/damaged").exists()


def failing_from(toy, step):
    """The toy stage, with a loss that is NaN from that step on."""

    def init(rng, batch):
        variables = toy.stage.init(rng, batch)
        return {**variables, "steps": {"taken": jnp.zeros(())}}

    def loss(variables, *rest):
        objective = toy.stage.loss(variables, *rest)
        bad = variables["steps"]["taken"] + 1 >= step
        return objective.replace(loss=jnp.where(bad, jnp.nan, objective.loss))

    def update(variables, *rest):
        taken = variables["steps"]["taken"] + 1
        return {**toy.stage.update(variables, *rest), "steps": {"taken": taken}}

    return dataclasses.replace(toy.stage, init=init, loss=loss, update=update)


@pytest.mark.parametrize(
    "log_every, every, checked, kept",
    [
        (1, 2, "5 to 5", 4),
        (4, 2, "5 to 6", 4),
        (7, 3, "4 to 6", 3),
        (2, 9, "5 to 6", 0),
    ],
)
def test_loss_that_is_not_finite_stops_the_run(
    toy, tmp_path, log_every, every, checked, kept
):
    stage = failing_from(toy, 5)
    words = f"stage 'toy': loss nan .* at step 5, found when checking steps {checked};"
    for _ in range(2):
        with pytest.raises(UserError, match=words):
            toy.train(
                tmp_path,
                stage,
                toy.options(steps=8),
                log_every=log_every,
                every=every,
            )
        words = words if kept else "stage 'toy'"
    latest = Checkpoints(tmp_path, "toy", CheckpointOptions()).latest
    assert (latest or 0) == kept


def test_huge_learning_rate_raises_user_error(toy, tmp_path):
    options = toy.options(schedule=WarmupCosine(1e38, 0.0))
    with pytest.raises(
        UserError, match="lower config.train.toy.schedule.learning_rate"
    ):
        toy.train(tmp_path, options=options, every=100)
    assert Checkpoints(tmp_path, "toy", CheckpointOptions()).latest is None


class Recorder:
    """Actions of a run in their order, with steps."""

    def __init__(self, toy):
        self.toy, self.log = toy, []

    def report(self, variables, frozen):
        self.log.append("evaluate")
        return Report(
            {"toy/figure": 1.0},
            Media({"toy/picture": np.zeros((4, 4, 3), np.uint8)}),
        )

    def run(self, workdir, **options):
        recorder = self
        iterators = type(self.toy.batches())
        take, save = iterators.__next__, Checkpoints.save

        def next_batch(iterator):
            recorder.log.append("next")
            return take(iterator)

        def saving(checkpoints, state, *rest):
            recorder.log.append(f"save {int(state.step)}")
            save(checkpoints, state, *rest)

        def loss(*args):
            jax.debug.callback(lambda: recorder.log.append("step"))
            return self.toy.stage.loss(*args)

        stage = dataclasses.replace(self.toy.stage, loss=loss, report=self.report)
        with (
            mock.patch.object(iterators, "__next__", next_batch),
            mock.patch.object(Checkpoints, "save", saving),
            mock.patch("regen_jax.training.loop.model_flops", lambda *args: 1.0),
        ):
            self.toy.train(workdir, stage, self.toy.options(steps=5), **options)
        return self.log


def test_iteration_saves_reports_reads_and_steps_in_this_order(toy, tmp_path):
    log = Recorder(toy).run(tmp_path, evaluate_every=2, every=3)
    expected = """
        next, step, next, step, save 2, evaluate, next, step, save 3, next, step,
        save 4, evaluate, next, step, save 5, evaluate
    """
    assert ", ".join(log).split() == expected.split()
    assert scalars(tmp_path / "toy", "toy/figure") == [(2, 1.0), (4, 1.0), (5, 1.0)]
    events = EventAccumulator(str(tmp_path / "toy")).Reload()
    assert [event.step for event in events.Images("toy/picture")] == [2, 4, 5]


def test_speed_is_logged_from_the_second_reading(toy, whole):
    for tag in ("step_seconds", "examples_per_second", "model_flops_per_second"):
        curve = scalars(whole / "toy", f"train/{tag}")
        # Nothing at the first reading, which has compilation in it.
        assert [step for step, _ in curve] == [2, 3, 4, 5, 6]
        assert all(value > 0 for _, value in curve)
