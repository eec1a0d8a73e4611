import dataclasses
import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError
from regen_jax.training.optimizer import learning_rate, optimizer
from regen_jax.training.stage import StageOptions
from regen_jax.training.step import Reduction, create, train_step


@functools.cache
def _step(stage, options):
    return jax.jit(functools.partial(train_step, stage, options, Reduction()))


def taken(toy, options, steps, batch_size=8, rng=7):
    """States before and after each step of the toy stage, and metrics."""
    rng = jax.random.key(rng)
    states = [jax.jit(functools.partial(create, toy.stage, options))(rng, toy.batch())]
    metrics, batches = [], toy.batches(batch_size)
    for _ in range(steps):
        state, found = _step(toy.stage, options)(states[-1], {}, next(batches), rng)
        states.append(state)
        metrics.append(found)
    return jax.device_get(states), jax.device_get(metrics)


def test_a_step_can_be_taken_again(toy):
    options = toy.options()
    first, second = taken(toy, options, 3), taken(toy, options, 3)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_every_step_draws_anew(toy):
    options = dataclasses.replace(toy.options(), learning_rate=1e-30, warmup=0.0)
    rng, batch = jax.random.key(0), toy.batch()
    state = create(toy.stage, options, rng, batch)
    losses = []
    for _ in range(3):
        state, metrics = _step(toy.stage, options)(state, {}, batch, rng)
        losses.append(float(metrics["loss"]))
    assert len(set(losses)) == 3


def test_the_loop_sees_every_metric_as_a_number(toy):
    _, [metrics] = taken(toy, toy.options(), 1)
    assert set(metrics) == {"loss", "worst", "grad_norm", "learning_rate"}
    for value in metrics.values():
        assert value.shape == () and value.dtype == np.float32


@pytest.mark.parametrize("accumulate", [2, 4])
def test_micro_batches_change_nothing(toy, accumulate):
    expected = taken(toy, toy.options(), 3)
    found = taken(toy, toy.options(accumulate=accumulate), 3)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        found,
        expected,
    )
    # The statistic that picks one example tells that they come back in order.
    for state, other in zip(found[0], expected[0], strict=True):
        chosen = state.variables["seen"]["chosen"], other.variables["seen"]["chosen"]
        np.testing.assert_array_equal(*chosen)


@pytest.mark.parametrize("ema_decay", [0.3, 0.0, 0.999])
def test_averaged_weights(toy, ema_decay):
    states, _ = taken(toy, toy.options(ema_decay=ema_decay), 5)
    average = states[0].variables["params"]["kernel"].astype(np.float64)
    for step, state in enumerate(states[1:]):
        decay = min(ema_decay, (1 + step) / (10 + step))
        kernel = state.variables["params"]["kernel"]
        average = decay * average + (1 - decay) * kernel
        np.testing.assert_allclose(state.average["kernel"], average, rtol=1e-5)
        np.testing.assert_array_equal(
            state.averaged["params"]["kernel"], state.average["kernel"]
        )
        np.testing.assert_array_equal(
            state.averaged["seen"]["total"], state.variables["seen"]["total"]
        )


@pytest.mark.parametrize(
    "steps, warmup, warmup_steps",
    [(20, 0.25, 5), (20, 0.05, 1), (4, 0.0, 0), (4, 1.0, 4), (1, 1.0, 1), (7, 0.2, 1)],
)
def test_learning_rate_rises_from_the_first_step_and_then_falls(
    steps, warmup, warmup_steps
):
    options = StageOptions(
        steps=steps, warmup=warmup, learning_rate=2e-3, final_learning_rate=0.1
    )
    expected = []
    for step in range(steps):
        if step < warmup_steps:
            expected.append(2e-3 * (step + 1) / warmup_steps)
        else:
            # The cosine starts at the peak, which is the last step of the warm-up.
            start = max(warmup_steps - 1, 0)
            angle = math.pi * (step - start) / (steps - start)
            expected.append(2e-4 + (2e-3 - 2e-4) * (1 + math.cos(angle)) / 2)
    found = [float(learning_rate(options)(step)) for step in range(steps)]
    assert found == pytest.approx(expected, rel=1e-5)
    assert min(found) > 0 and learning_rate(options)(steps) == pytest.approx(2e-4)


def test_optimizer_is_adamw_on_clipped_gradients():
    options = StageOptions(
        steps=10,
        warmup=0.0,
        learning_rate=0.1,
        beta1=0.8,
        beta2=0.95,
        weight_decay=0.3,
        clip_norm=2.0,
    )
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=3)}
    moments = {name: (0.0, 0.0) for name in params}
    transform = optimizer(options)
    found = jax.tree.map(jnp.float32, params)
    state = transform.init(found)
    for step in range(4):
        scale = 10.0 if step % 2 else 0.01
        grads = {k: scale * rng.normal(size=p.shape) for k, p in params.items()}
        updates, state = transform.update(
            jax.tree.map(jnp.float32, grads), state, found
        )
        found = jax.tree.map(jnp.add, found, updates)

        norm = math.sqrt(sum(np.sum(g**2) for g in grads.values()))
        rate = 0.05 * (1 + math.cos(math.pi * step / 10))
        for name, grad in grads.items():
            grad = grad * min(1, 2.0 / norm)
            first, second = moments[name]
            first, second = 0.8 * first + 0.2 * grad, 0.95 * second + 0.05 * grad**2
            moments[name] = first, second
            size = np.sqrt(second / (1 - 0.95 ** (step + 1))) + 1e-8
            move = first / (1 - 0.8 ** (step + 1)) / size
            decay = 0.3 * params[name] if name == "kernel" else 0
            params[name] = params[name] - rate * (move + decay)
        for name, value in params.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"batch_size": -1}, "batch_size must be at least 1, not -1"),
        ({"accumulate": 0}, "accumulate must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"learning_rate": math.nan}, "learning_rate must be finite"),
        ({"final_learning_rate": -1.0}, "final_learning_rate must be in [0, 1]"),
        ({"warmup": 1.1}, "warmup must be in [0, 1], not 1.1"),
        ({"beta1": 1.5}, "beta1 must be in [0, 1), not 1.5"),
        ({"beta2": 1.0}, "beta2 must be in [0, 1), not 1.0"),
        ({"weight_decay": -100.0}, "weight_decay must be 0 or more, not -100.0"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, not -1.0"),
        ({"ema_decay": 1.0}, "ema_decay must be in [0, 1), not 1.0"),
        ({"share": 0.0}, "share must be in (0, 1], not 0.0"),
        (
            {"batch_size": 10, "accumulate": 4},
            "accumulate 4 does not divide batch_size 10",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        StageOptions(**options)


def test_fewer_steps_need_no_other_option():
    section = {"steps": 2, "batch_size": 4}
    assert instantiate(StageOptions, section, "config.train.prior").steps == 2
    with pytest.raises(UserError, match="warmup_steps is not an option of StageOpt"):
        instantiate(StageOptions, section | {"warmup_steps": 1}, "config.train.prior")
