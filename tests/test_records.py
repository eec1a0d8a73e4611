"""A run whose X and Y′ are records: trained, reported on, sampled, stored and read."""

import functools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from regen_jax.abstractions.identity import Identity
from regen_jax.cli import stored_task
from regen_jax.cli.sample_run import Samples, save_samples
from regen_jax.config.build import build
from regen_jax.config.registry import registered_names, resolve_class
from regen_jax.data.host_features import as_batch
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.interfaces import Abstraction
from regen_jax.media.media import Media
from regen_jax.spaces import Array, Category, Padded, Record, check
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.step import create, train_step

DIT = {"name": "dit", "width": 8, "num_layers": 1, "num_heads": 2}
REGRESSION = {"name": "regression", "network": DIT}


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "outside"))
    yield
    sys.modules.pop("toy_records", None)


def config(**sections):
    stage = {"steps": 2, "batch_size": 4}
    return {
        "seed": 0,
        "task": "toy_records:Lamps",
        "data": {},
        "source": {"name": "identity"},
        "abstraction": {"name": "toy_records:MeanLevel"},
        "prior": {"name": "pass_through", "generator": REGRESSION},
        "decoder": {"name": "inverse"},
        "train": {"prior": stage, "decoder": stage},
        "parallel": {},
        "checkpoint": {},
        "log": {},
        "evaluate": {"loop_samples": 3, "batch_size": 4},
    } | sections


def assert_close(first, second):
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5), first, second
    )


def test_run_of_records_trains_reports_samples_and_stores(tmp_path):
    run = build(config())
    (stage,) = run.stages
    batch = first_batch(run.examples("prior"), 4)
    state = create(stage, run.train["prior"], jax.random.key(0), batch)
    step = functools.partial(train_step, stage, run.train["prior"], Reduction())
    state, metrics = jax.jit(step)(state, {}, batch, jax.random.key(1))
    assert np.isfinite(metrics["loss"]) and metrics["grad_norm"] > 0
    report = stage.report(state.averaged, {})
    assert report.scalars["samples/number"] == 3

    prompts = as_batch(run.task.prompts(3), run.regeneration)
    variables = {"prior": state.averaged}
    trained = TrainedPipeline(run.task, run.regeneration, variables)
    y_prime, y = trained.sample(prompts, batch_size=3)
    check(run.regeneration.abstraction.output_space, y_prime, "Y′")
    np.testing.assert_array_equal(y_prime["picture"], prompts["x"]["picture"])
    np.testing.assert_array_equal(y.length, [1, 2, 3])

    save_samples(Samples(prompts["x"], y_prime, y, Media()), tmp_path, 0)
    with np.load(tmp_path / "samples.npz") as stored:
        assert set(stored.files) == {
            *("x/level", "x/level_length", "x/picture", "seed", "y", "y_length"),
            *("y_prime/tracks", "y_prime/tracks_length", "y_prime/picture"),
        }
        np.testing.assert_array_equal(stored["x/picture"], prompts["x"]["picture"])

    stored_task.write(run, tmp_path)
    read = stored_task.read_prompts(run, tmp_path, 3)
    assert_close(read, run.regeneration.prompt(prompts))


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.zeros(3)},
        {"x/level": np.zeros((3, 4, 1)), "x/picture": np.zeros((3, 2, 2, 1))},
        {"x/level": np.zeros((3, 4, 1)), "x": np.zeros(3)},
    ],
)
def test_damaged_prompts_of_a_record_raise_user_error(tmp_path, arrays):
    np.savez(tmp_path / stored_task.PROMPTS, **arrays)
    with pytest.raises(UserError, match="cannot be read: ."):
        stored_task.read_prompts(build(config()), tmp_path, 3)


def test_sample_that_is_not_finite_names_its_field():
    run = build(config())
    shapes = jax.eval_shape(run.stages[0].init, jax.random.key(0), {})
    variables = jax.tree.map(lambda p: np.full(p.shape, np.nan, p.dtype), shapes)
    prompts = as_batch(run.task.prompts(3), run.regeneration)
    trained = TrainedPipeline(run.task, run.regeneration, {"prior": variables})
    with pytest.raises(UserError, match="3 of 3 samples of Y′, tracks are not finite"):
        trained.sample(prompts)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"abstraction": {"name": "identity"}, "prior": {"name": "nearest"}},
            "config: prior 'nearest' reads Category or Tokens or Array, but its source is "
            "Record(level: Array(4, 1, padded), picture: Array(2, 2, 1)): use prior "
            "'diffusion' or 'regression'",
        ),
        (
            {"prior": REGRESSION},
            "config: prior 'regression' generates Array, but abstraction "
            "'toy_records:MeanLevel' gives Record(",
        ),
        (
            {"decoder": {"name": "adversarial"}},
            "config: decoder 'adversarial' reads Array, but its source is Record(tracks",
        ),
        (
            {
                "decoder": REGRESSION,
                "train": {
                    "prior": {"steps": 2, "batch_size": 4},
                    "decoder": {"steps": 2, "batch_size": 4, "source_noise": 0.5},
                },
            },
            "config.train.decoder.source_noise must be 0, not 0.5: fields of Record(",
        ),
        (
            {"source": {"name": "mel"}},
            "config.source: ",
        ),
    ],
)
def test_part_that_does_not_fit_a_record_raises_user_error(sections, message):
    with pytest.raises(UserError) as error:
        build(config(**sections))
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", registered_names(Abstraction))
def test_abstraction_of_a_record_is_identity_or_raises_value_error(name):
    space = Record((("a", Array((4, 4, 3), 0, 1)), ("b", Category(3))))
    cls = resolve_class(Abstraction, name, "")
    if cls is Identity:
        assert cls(space).output_space == space
        return
    with pytest.raises((ValueError, UserError)) as error:
        cls(space)
    assert "\n" not in str(error.value) and "Record(" in str(error.value)


def test_direct_model_reads_a_record_and_generates_a_padded_clip():
    prior = {"name": "diffusion", "network": DIT | {"patch": 2}, "num_steps": 1}
    run = build(config(abstraction={"name": "identity"}, prior=prior))

    def generate(keys, batch):
        variables = run.regeneration.prior.init(jax.random.key(0))
        return run.regeneration.generate({"prior": variables}, keys, batch)[1]

    batch = first_batch(run.examples("prior"), 2)
    keys = jax.random.split(jax.random.key(0), 2)
    y = jax.eval_shape(generate, keys, batch)
    assert isinstance(y, Padded) and y.values.shape == (2, 4, 2, 2, 1)
