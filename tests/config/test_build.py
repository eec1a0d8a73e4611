"""Parts that do not fit raise an error of one line; parts of users are built as well."""

import copy
import functools
import math
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from regen_jax.config.build import build
from regen_jax.data.host_features import as_batch
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.schedules.warmup_cosine import WarmupCosine
from regen_jax.training.stage import StageOptions
from regen_jax.training.step import create, train_step


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "outside"))
    yield
    sys.modules.pop("toy_parts", None)


def config(**sections) -> dict:
    """A config of the toy task, with sections replaced."""
    schedule = {"name": "warmup_cosine", "warmup": 0.5}
    stage = {"steps": 3, "batch_size": 4, "schedule": schedule}
    base = {
        "seed": 0,
        "task": "toy_parts:Stripes",
        "data": {"number": 12},
        "source": {"name": "identity"},
        "abstraction": {"name": "toy_parts:ColumnMeans", "start": 0.25},
        "prior": {"name": "toy_parts:Table"},
        "decoder": {"name": "inverse"},
        "train": {"abstraction": stage, "prior": stage, "decoder": stage},
        "parallel": {},
        "checkpoint": {},
        "log": {},
        "evaluate": {"loop_samples": 3, "batch_size": 6},
    }
    return copy.deepcopy(base | sections)


def error_message(**sections) -> str:
    with pytest.raises(UserError) as error:
        build(config(**sections))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("value", [None, [], "configs/digits.py", 3])
def test_config_that_is_no_sections_raises_user_error(value):
    with pytest.raises(UserError, match="config must be its sections, such as .*, not"):
        build(value)


def test_circular_config_raises_user_error():
    circular = config()
    circular["log"]["within"] = circular
    with pytest.raises(UserError, match="no number, text, list or section"):
        build(circular)


SMALL = {"width": 8, "num_layers": 1, "num_heads": 2}
DIT = {"name": "dit"} | SMALL
AUTOREGRESSIVE = {"name": "autoregressive"} | SMALL
DIFFUSION = {"name": "diffusion", "network": DIT}
PIXEL_TOKENS = {"name": "pixel_tokens", "levels": 4}


def test_parts_from_outside_train_and_generate():
    run = build(config())
    assert [stage.name for stage in run.stages] == ["abstraction", "prior"]
    batch = first_batch(run.task.examples("train"), 4)
    frozen = {}
    for stage in run.stages:
        options = run.train[stage.name]
        state = create(stage, options, jax.random.key(0), batch)
        step = jax.jit(functools.partial(train_step, stage, options, Reduction()))
        state, metrics = step(state, frozen, batch, jax.random.key(1))
        assert np.isfinite(metrics["loss"]) and metrics["grad_norm"] > 0
        frozen[stage.name] = state.averaged
    x = as_batch(run.task.prompts(5), run.regeneration)
    trained = TrainedPipeline(run.task, run.regeneration, frozen)
    y_prime, y = trained.sample(x, batch_size=2)
    assert y_prime.shape == (5, 4, 1) and y.shape == (5, 4, 4, 1)
    report = run.stages[-1].report(frozen["prior"], frozen)
    assert set(report.scalars) == {"prior/loss", "samples/number"}


def test_options_reach_the_parts():
    run = build(config())
    assert run.regeneration.abstraction.start == 0.25
    assert run.train["prior"] == StageOptions(
        steps=3, batch_size=4, schedule=WarmupCosine(warmup=0.5)
    )


@pytest.mark.parametrize(
    "sections, words",
    [
        (
            {"abstraction": {"name": "identity"}, "prior": AUTOREGRESSIVE},
            [
                "prior 'autoregressive' generates Tokens",
                "abstraction 'identity' gives Array(4, 4, 1)",
                "use prior 'diffusion' or 'nearest' or 'regression'",
                "or abstraction 'autoencoder' or 'palette' or 'pixel_tokens'",
            ],
        ),
        (
            {"abstraction": PIXEL_TOKENS, "prior": DIFFUSION},
            [
                "prior 'diffusion' generates Array",
                "abstraction 'pixel_tokens' gives Tokens(16 of 4)",
                "use prior 'autoregressive'",
                "or abstraction 'downsample' or 'edges' or 'identity'",
            ],
        ),
        (
            {"abstraction": {"name": "downsample", "factor": 2}, "prior": DIFFUSION},
            [
                "decoder 'inverse' needs an inverse",
                "abstraction 'downsample' has none",
                "use decoder 'adversarial' or 'diffusion' or 'nearest' or",
            ],
        ),
        (
            {"decoder": AUTOREGRESSIVE},
            [
                "decoder 'autoregressive' generates Tokens",
                "gives Array(4, 4, 1)",
                "use decoder 'inverse' or 'adversarial' or 'diffusion' or 'nearest' or",
            ],
        ),
        (
            {"task": "toy_parts:Lengths"},
            ["prior 'toy_parts:Table' reads Category", "Tokens(2 of 5)"],
        ),
        (
            {"abstraction": {"name": "downsample", "factor": 3}},
            ["config.abstraction", "factor 3 does not divide", "(4, 4)"],
        ),
        (
            {"abstraction": {"name": "outline"}},
            [
                "config.abstraction",
                "'outline'",
                "autoencoder, downsample",
                "package.module:Class",
            ],
        ),
        (
            {"abstraction": {"start": 1.0}},
            ["config.abstraction needs a name", "autoencoder, downsample"],
        ),
        (
            {"prior": {"name": "toy_parts:Table", "size": 3}},
            ["config.prior.size is not an option of Table", "known are scale"],
        ),
        (
            {"prior": {"name": "toy_parts:Table", "scale": "big"}},
            ["config.prior.scale must be of type float, not 'big'"],
        ),
        (
            {"decoder": {"name": "inverse", "width": 3}},
            ["config.decoder.width is not an option"],
        ),
        ({"extra": {}}, ["unknown fields ['extra']", "seed, task, data"]),
        (
            {"train": {"prior": {}}},
            [
                "config.train lacks ['abstraction']",
                "source, abstraction, decoder, prior",
            ],
        ),
        (
            {"train": {"abstraction": {}, "prior": {}, "other": {}}},
            ["config.train has unknown ['other']"],
        ),
        (
            {"train": {"abstraction": {}, "prior": {"step": 5}}},
            ["config.train.prior.step is not an option", "steps, batch_size"],
        ),
        (
            {"train": {"abstraction": {}, "prior": {"steps": 0}}},
            ["config.train.prior.steps must be at least 1"],
        ),
        (
            {"train": {"abstraction": {}, "prior": {"split": "targets"}}},
            ["config.train.prior.split", "only an abstraction and a decoder"],
        ),
        (
            {"train": {"abstraction": {"split": "test"}, "prior": {}}},
            ["config.train.abstraction.split must be 'train' or 'targets', not 'test'"],
        ),
        (
            {"train": {"abstraction": {}, "prior": {"warmup_steps": 5}}},
            ["config.train.prior.warmup_steps is not an option", "schedule"],
        ),
        (
            {
                "train": {
                    "abstraction": {},
                    "prior": {"optimizer": {"name": "adamw", "beta1": 1.5}},
                }
            },
            ["config.train.prior.optimizer.beta1 must be in [0, 1), not 1.5"],
        ),
        (
            {"prior": {"name": "toy_parts:Table", "scale": math.nan}},
            ["config.prior.scale must be finite", "not nan"],
        ),
        (
            {
                "decoder": {
                    "name": "diffusion",
                    "guidance_method": {
                        "name": "classifier_free",
                        "interval": [0.0, math.inf],
                    },
                }
            },
            ["config.decoder.guidance_method.interval[1] must be finite", "not inf"],
        ),
        ({"parallel": {"fsdp": 2}}, ["config.parallel.fsdp is not an option", "axes"]),
        (
            {"parallel": {"axes": {"fsdp": 0}}},
            ["config.parallel.axes.fsdp must be at least 1"],
        ),
        ({"cache": {"y_prime": "all"}}, ["config.cache.y_prime must be 'none'"]),
        ({"parallel": {"min_size": -1}}, ["config.parallel.min_size must be 0 or"]),
        ({"seed": -1}, ["config.seed", "-1"]),
        ({"seed": 1.5}, ["config.seed", "1.5"]),
        (
            {"parallel": {"strategy": "ddp"}},
            ["config.parallel", "'sharded' or 'pmap'", "'ddp'"],
        ),
        ({"checkpoint": {"keep": 0}}, ["config.checkpoint", "at least 1"]),
        ({"log": {"every": 0}}, ["config.log", "at least 1"]),
        ({"evaluate": {"samples": -1}}, ["config.evaluate.samples", "0 or more"]),
        ({"evaluate": {"batch_size": 0}}, ["config.evaluate", "batch_size", "least 1"]),
        ({"task": "music"}, ["config.task", "'music'", "class_to_image"]),
        ({"task": "nowhere:Thing"}, ["config.task", "cannot import 'nowhere'"]),
        ({"task": "toy_parts:Table"}, ["config.task", "not a subclass of Task"]),
    ],
)
def test_parts_that_do_not_fit_raise_user_error(sections, words):
    message = error_message(**sections)
    for word in words:
        assert word in message


def test_missing_section_raises_user_error():
    lacking = config()
    del lacking["prior"]
    with pytest.raises(UserError, match=r"lacks \['prior'\]"):
        build(lacking)
