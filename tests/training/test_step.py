import dataclasses
import functools
import re

import jax
import numpy as np
import pytest

from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError
from regen_jax.training.optimizers.adamw import AdamW
from regen_jax.training.optimizers.interface import ParameterGroup
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.schedules.warmup_cosine import WarmupCosine
from regen_jax.training.stage import StageOptions
from regen_jax.training.step import create, train_step


@functools.cache
def _step(stage, options):
    return jax.jit(functools.partial(train_step, stage, options, Reduction()))


def take_steps(toy, options, steps, batch_size=8, rng=7):
    """Returns states before and after each step of the toy stage, and metrics."""
    rng = jax.random.key(rng)
    states = [jax.jit(functools.partial(create, toy.stage, options))(rng, toy.batch())]
    metrics, batches = [], toy.batches(batch_size)
    for _ in range(steps):
        state, values = _step(toy.stage, options)(states[-1], {}, next(batches), rng)
        states.append(state)
        metrics.append(values)
    return jax.device_get(states), jax.device_get(metrics)


def test_step_taken_again_gives_the_same_bits(toy):
    options = toy.options()
    first, second = take_steps(toy, options, 3), take_steps(toy, options, 3)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_every_step_draws_other_random_numbers(toy):
    options = dataclasses.replace(toy.options(), schedule=WarmupCosine(1e-30, 0.0))
    rng, batch = jax.random.key(0), toy.batch()
    state = create(toy.stage, options, rng, batch)
    losses = []
    for _ in range(3):
        state, metrics = _step(toy.stage, options)(state, {}, batch, rng)
        losses.append(float(metrics["loss"]))
    assert len(set(losses)) == 3


def test_metrics_of_a_step_are_scalars(toy):
    _, [metrics] = take_steps(toy, toy.options(), 1)
    assert set(metrics) == {"loss", "worst", "grad_norm", "learning_rate"}
    for value in metrics.values():
        assert value.shape == () and value.dtype == np.float32


@pytest.mark.parametrize("accumulate", [2, 4])
def test_micro_batches_change_nothing(toy, accumulate):
    expected = take_steps(toy, toy.options(), 3)
    actual = take_steps(toy, toy.options(accumulate=accumulate), 3)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        actual,
        expected,
    )
    # The statistic that picks one example shows that they come back in order.
    for state, other in zip(actual[0], expected[0], strict=True):
        chosen = state.variables["seen"]["chosen"], other.variables["seen"]["chosen"]
        np.testing.assert_array_equal(*chosen)


def test_averages_are_one_for_each_decay_and_the_first_is_evaluated(toy):
    decays = (0.3, 0.0, 0.999)
    states, _ = take_steps(toy, toy.options(ema=decays), 5)
    kernel = states[0].variables["params"]["kernel"].astype(np.float64)
    averages = [kernel] * 3
    for step, state in enumerate(states[1:]):
        kernel = state.variables["params"]["kernel"]
        for index, most in enumerate(decays):
            decay = min(most, (1 + step) / (10 + step))
            averages[index] = decay * averages[index] + (1 - decay) * kernel
            np.testing.assert_allclose(
                state.averages[index]["kernel"], averages[index], rtol=1e-5
            )
        np.testing.assert_array_equal(
            state.averaged["params"]["kernel"], state.averages[0]["kernel"]
        )
        np.testing.assert_array_equal(
            state.averaged["seen"]["total"], state.variables["seen"]["total"]
        )


def test_without_averages_the_parameters_are_evaluated(toy):
    states, _ = take_steps(toy, toy.options(ema=()), 1)
    assert states[-1].averages == ()
    assert states[-1].averaged is states[-1].variables


def test_groups_of_parameters_are_updated_apart(toy):
    groups = (ParameterGroup("^bias$", learning_rate_scale=0.0),)
    states, _ = take_steps(toy, toy.options(optimizer=AdamW(groups=groups)), 2)
    before, *_, after = (state.variables["params"] for state in states)
    np.testing.assert_array_equal(before["bias"], after["bias"])
    assert np.all(before["kernel"] != after["kernel"])


def test_group_without_parameters_raises_user_error(toy):
    groups = (ParameterGroup("bias"), ParameterGroup("discriminator"))
    options = toy.options(optimizer=AdamW(groups=groups))
    words = (
        r"config\.train\.toy\.optimizer\.groups\[1\]\.pattern 'discriminator' matches no "
        r"parameter .*: there are bias, kernel"
    )
    with pytest.raises(UserError, match=words):
        create(toy.stage, options, jax.random.key(0), toy.batch())


@pytest.mark.parametrize(
    "options, words",
    [
        ({"steps": -1}, "steps must be 0 or more, not -1"),
        ({"batch_size": -1}, "batch_size must be at least 1, not -1"),
        ({"accumulate": 0}, "accumulate must be at least 1, not 0"),
        ({"ema": (0.9, 1.0)}, "ema[1] must be in [0, 1), not 1.0"),
        ({"data_fraction": 0.0}, "data_fraction must be in (0, 1], not 0.0"),
        ({"split": "test"}, "split must be 'train' or 'targets', not 'test'"),
        (
            {"batch_size": 10, "accumulate": 4},
            "accumulate 4 does not divide batch_size 10",
        ),
    ],
)
def test_options_out_of_range_raise_value_error(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        StageOptions(**options)


def test_options_are_valid_for_any_number_of_steps():
    section = {"steps": 2, "batch_size": 4}
    assert instantiate(StageOptions, section, "config.train.prior").steps == 2
    with pytest.raises(UserError, match="warmup_steps is not an option of StageOpt"):
        instantiate(StageOptions, section | {"warmup_steps": 1}, "config.train.prior")


def test_section_makes_optimizer_groups_and_schedule_by_name():
    options = instantiate(
        StageOptions,
        {
            "optimizer": {
                "name": "adamw",
                "decay": 0.1,
                "groups": [
                    {"pattern": "norm", "learning_rate_scale": 2},
                    {"pattern": "disc", "optimizer": {"name": "adamw", "beta1": 0.5}},
                ],
            },
            "schedule": {"name": "warmup_cosine", "warmup": 0.1},
            "ema": [0.9, 0.99],
        },
        "config.train.abstraction",
    )
    assert options.optimizer == AdamW(
        decay=0.1,
        groups=(
            ParameterGroup("norm", 2.0),
            ParameterGroup("disc", optimizer=AdamW(beta1=0.5)),
        ),
    )
    assert options.schedule == WarmupCosine(warmup=0.1) and options.ema == (0.9, 0.99)


@pytest.mark.parametrize(
    "section, words",
    [
        (
            {"optimizer": {"name": "sgd"}},
            "no optimizer is called 'sgd'; known are adamw",
        ),
        ({"optimizer": {"name": "adamw", "beta1": 1.5}}, ".beta1 must be in [0, 1)"),
        (
            {"optimizer": {"name": "adamw", "groups": [{"pattern": "("}]}},
            ".groups[0]: pattern '(' is no regular expression",
        ),
        ({"schedule": {"decay": 1}}, "schedule needs a name: warmup_cosine"),
    ],
)
def test_mistakes_of_optimizer_and_schedule_raise_user_error(section, words):
    with pytest.raises(UserError, match=re.escape(words)):
        instantiate(StageOptions, section, "config.train.prior")
