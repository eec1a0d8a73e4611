"""Every strategy against one device, on the same global batches.

Sums over the batch are taken in another order, and so differ in their last bits. All
comparisons are to 1e-5 of the largest value of an array.
"""

import dataclasses
import functools
import re
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import regen_jax
from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.identity import Identity
from regen_jax.abstractions.quantizers.vq import VectorQuantizer
from regen_jax.errors import UserError
from regen_jax.evaluation import EvaluateOptions
from regen_jax.generators.autoregressive import Autoregressive
from regen_jax.interfaces import Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Category
from regen_jax.stages import make_stages
from regen_jax.training.parallel import ParallelOptions, check_batch, make_strategy
from regen_jax.training.stage import StageOptions
from regen_jax.training.state import Reduction, create, train_step

BATCH, STEPS, TOLERANCE = 16, 3, 1e-5
COMPILING = "/jax/core/compile"


class Noise(Task):
    """Images of noise in four classes."""

    x = Category(4)
    y = Array((8, 8, 1), 0.0, 255.0, step=1.0)

    def examples(self, split):
        return []


@functools.cache
def stages():
    quantizer = VectorQuantizer(
        codes=16, dim=8, decay=0.5, revive_below=0.5, candidates=2
    )
    abstraction = Autoencoder(Noise.y, quantizer, widths=(8,), num_blocks=0)
    prior = Autoregressive(
        Noise.x,
        abstraction.y_prime,
        width=16,
        num_layers=1,
        num_heads=2,
        dropout=0.2,
        drop_source=0.3,
    )
    parts = Regeneration(Identity(Noise.x), abstraction, prior)
    made = make_stages(Noise(), parts, EvaluateOptions(), 1)
    return {stage.name: stage for stage in made}


def options(accumulate=1):
    return StageOptions(
        steps=10, batch_size=BATCH, warmup_steps=0, accumulate=accumulate
    )


def batch(step):
    rng = np.random.default_rng(step)
    x = rng.integers(0, 4, BATCH, np.int32)
    return {"x": x, "y": rng.integers(0, 256, (BATCH, 8, 8, 1)).astype(np.uint8)}


@functools.cache
def frozen(name):
    if name == "abstraction":
        return {}
    variables = jax.jit(stages()["abstraction"].init)(jax.random.key(1), batch(0))
    return {"abstraction": jax.device_get(variables)}


def initial(name):
    return create(stages()[name], options(), jax.random.key(2), batch(0))


@functools.cache
def alone(name):
    """States before and after each step, and metrics, of a plain `jax.jit`."""
    step = functools.partial(train_step, stages()[name], options(), Reduction())
    step = jax.jit(step)
    states, metrics = [jax.jit(initial, static_argnums=0)(name)], []
    for number in range(STEPS):
        state, found = step(
            states[-1], frozen(name), batch(number), jax.random.key(3)
        )
        states.append(state)
        metrics.append(found)
    return jax.device_get(states), jax.device_get(metrics)


def spread_over(parallel, name, accumulate=1):
    """The same of a strategy, its last state as it lies, and what compiled late."""
    strategy = make_strategy(parallel)
    shapes = jax.eval_shape(functools.partial(initial, name))
    step = strategy.compile(
        functools.partial(train_step, stages()[name], options(accumulate)), shapes
    )
    state = strategy.spread(strategy.create(functools.partial(initial, name)))
    everywhere = strategy.spread(frozen(name))
    states, metrics, late = [jax.device_get(strategy.single(state))], [], []
    for number in range(STEPS):
        given, rng = strategy.batch(batch(number)), jax.random.key(3)
        before = jax.tree.leaves(state)
        if number:
            jax.monitoring.register_event_duration_secs_listener(
                lambda event, seconds, **_: late.append(event)
            )
        state, found = step(state, everywhere, given, rng)
        if number:
            jax.monitoring.clear_event_listeners()
        assert all(leaf.is_deleted() for leaf in before)
        states.append(jax.device_get(strategy.single(state)))
        metrics.append(jax.device_get(found))
    return states, metrics, state, [e for e in late if e.startswith(COMPILING)]


def assert_near(actual, expected):
    def near(path, a, b):
        largest = np.max(np.abs(b), initial=0)
        where = jax.tree_util.keystr(path)
        np.testing.assert_allclose(
            a, b, rtol=0, atol=TOLERANCE * largest, err_msg=where
        )

    jax.tree_util.tree_map_with_path(near, actual, expected)


STRATEGIES = {
    "data 8": (ParallelOptions(min_size=16), 1),
    "data 4 x fsdp 2": (ParallelOptions(fsdp=2, min_size=16), 1),
    "fsdp 8": (ParallelOptions(fsdp=8, min_size=16), 1),
    "pmap 8": (ParallelOptions("pmap"), 1),
    "data 4 x fsdp 2, 2 micro-batches": (ParallelOptions(fsdp=2, min_size=16), 2),
    "pmap 8, 2 micro-batches": (ParallelOptions("pmap"), 2),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["abstraction", "prior"])
def test_strategies_agree_with_one_device(name, strategy):
    expected_states, expected_metrics = alone(name)
    states, metrics, _, late = spread_over(*STRATEGIES[strategy][:1], name, 1)
    assert late == []
    for step in range(STEPS):
        assert_near(metrics[step], expected_metrics[step])
    for step in range(STEPS + 1):
        assert_near(states[step], expected_states[step])
