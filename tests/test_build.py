"""Misfits are refused in one line; parts from outside are as good as those inside."""

import copy
import functools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from regen_jax.build import build
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.evaluation import sample
from regen_jax.training.stage import StageOptions
from regen_jax.training.state import Reduction, create, train_step


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "outside"))
    yield
    sys.modules.pop("toy_parts", None)


def config(**sections) -> dict:
    """A config of the toy task, with sections replaced."""
    stage = dict(steps=3, batch_size=4, warmup_steps=1)
    base = dict(
        seed=0,
        task="toy_parts:Stripes",
        data=dict(number=12),
        source=dict(name="identity"),
        abstraction=dict(name="toy_parts:ColumnMeans", start=0.25),
        prior=dict(name="toy_parts:Table"),
        decoder=dict(name="inverse"),
        train=dict(abstraction=stage, prior=stage, decoder=stage),
        parallel=dict(),
        checkpoint=dict(),
        log=dict(),
        evaluate=dict(loop_samples=3, batch_size=6),
    )
    return copy.deepcopy(base | sections)


def refusal(**sections) -> str:
    with pytest.raises(UserError) as error:
        build(config(**sections))
    assert "\n" not in str(error.value)
    return str(error.value)


SMALL = dict(width=8, num_layers=1, num_heads=2)


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
    x = run.task.prompts(5)
    y_prime, y = sample(run.task, run.regeneration, frozen, x, batch_size=2)
    assert y_prime.shape == (5, 4, 1) and y.shape == (5, 4, 4, 1)
    report = run.stages[-1].report(frozen["prior"], frozen)
    assert set(report.scalars) == {"prior/loss"}


def test_options_reach_the_parts():
    run = build(config())
    assert run.regeneration.abstraction.start == 0.25
    assert run.train["prior"] == StageOptions(steps=3, batch_size=4, warmup_steps=1)


@pytest.mark.parametrize(
    "sections, words",
    [
        (
            dict(
                abstraction=dict(name="identity"),
                prior=dict(name="autoregressive") | SMALL,
            ),
            [
                "prior 'autoregressive' generates Tokens",
                "abstraction 'identity' gives Array(4, 4, 1)",
                "use prior 'diffusion' or 'regression'",
                "or abstraction 'autoencoder' or 'pixels'",
            ],
        ),
        (
            dict(
                abstraction=dict(name="pixels", levels=4),
                prior=dict(name="diffusion") | SMALL,
            ),
            [
                "prior 'diffusion' generates Array",
                "abstraction 'pixels' gives Tokens(16 of 4)",
                "use prior 'autoregressive'",
                "or abstraction 'downsample' or 'identity'",
            ],
        ),
        (
            dict(
                abstraction=dict(name="downsample", factor=2),
                prior=dict(name="diffusion") | SMALL,
            ),
            [
                "decoder 'inverse' needs a way back",
                "abstraction 'downsample' has none",
                "use decoder 'diffusion' or 'regression'",
            ],
        ),
        (
            dict(decoder=dict(name="autoregressive") | SMALL),
            [
                "decoder 'autoregressive' generates Tokens",
                "gives Array(4, 4, 1)",
                "use decoder 'diffusion' or 'regression'",
            ],
        ),
        (
            dict(task="toy_parts:Lengths"),
            ["prior 'toy_parts:Table' reads Category", "Tokens(2 of 5)"],
        ),
        (
            dict(abstraction=dict(name="downsample", factor=3)),
            ["config.abstraction", "factor 3 does not divide", "(4, 4)"],
        ),
        (
            dict(abstraction=dict(name="edges")),
            [
                "config.abstraction",
                "'edges'",
                "identity, pixels",
                "package.module:Class",
            ],
        ),
        (
            dict(abstraction=dict(start=1.0)),
            ["config.abstraction needs a name", "autoencoder, downsample"],
        ),
        (
            dict(prior=dict(name="toy_parts:Table", size=3)),
            ["config.prior.size is not an option of Table", "known are scale"],
        ),
        (
            dict(prior=dict(name="toy_parts:Table", scale="big")),
            ["config.prior.scale must be a float, not 'big'"],
        ),
        (
            dict(decoder=dict(name="inverse", width=3)),
            ["config.decoder.width is not an option"],
        ),
        (dict(extra=dict()), ["unknown fields ['extra']", "seed, task, data"]),
        (
            dict(train=dict(prior=dict())),
            [
                "config.train lacks ['abstraction']",
                "source, abstraction, decoder, prior",
            ],
        ),
        (
            dict(train=dict(abstraction=dict(), prior=dict(), other=dict())),
            ["config.train has unknown ['other']"],
        ),
        (
            dict(train=dict(abstraction=dict(), prior=dict(step=5))),
            ["config.train.prior.step is not an option", "steps, batch_size"],
        ),
        (
            dict(train=dict(abstraction=dict(), prior=dict(steps=0))),
            ["config.train.prior: steps must be at least 1"],
        ),
        (dict(seed=-1), ["config.seed", "-1"]),
        (dict(seed=1.5), ["config.seed", "1.5"]),
        (
            dict(parallel=dict(strategy="ddp")),
            ["config.parallel", "'sharded' or 'pmap'", "'ddp'"],
        ),
        (dict(checkpoint=dict(keep=0)), ["config.checkpoint", "at least 1"]),
        (dict(log=dict(every=0)), ["config.log", "at least 1"]),
        (dict(evaluate=dict(samples=0)), ["config.evaluate", "samples", "at least 1"]),
        (dict(task="music"), ["config.task", "'music'", "class_to_image"]),
        (dict(task="nowhere:Thing"), ["config.task", "cannot import 'nowhere'"]),
        (dict(task="toy_parts:Table"), ["config.task", "not a subclass of Task"]),
    ],
)
def test_what_does_not_fit_is_refused(sections, words):
    message = refusal(**sections)
    for word in words:
        assert word in message


def test_missing_sections_are_named():
    lacking = config()
    del lacking["prior"]
    with pytest.raises(UserError, match=r"lacks \['prior'\]"):
        build(lacking)
