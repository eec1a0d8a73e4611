"""Times by strata of the global batch, and a guide, on one device and on eight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.diffusion.guide import init_guide, update_guide
from regen_jax.generators.diffusion.processes.flow_matching import FlowMatching
from regen_jax.generators.diffusion.time_sampling.stratified import Stratified
from regen_jax.generators.diffusion.time_sampling.uniform import Uniform
from regen_jax.interfaces import LossOutput
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import Stage, StageOptions
from regen_jax.training.step import create, train_step
from tests.training.descent import Constant, Descent

BATCH = 16


def loss(variables, frozen, keys, batch, train):
    """Fits y by times a line, and counts the examples of each stratum."""
    time = Stratified(Uniform()).sample(keys, FlowMatching())
    error = time[:, None] * variables["params"]["kernel"].sum(axis=0) - batch["y"]
    counts = jax.nn.one_hot(jnp.int32(BATCH * time), BATCH).sum(axis=0)
    return LossOutput(jnp.square(error).mean(axis=1), sums={"counts": counts})


def update(variables, rng, output):
    return {**update_guide(variables, 1), "strata": output.sums}


def init(rng, batch):
    variables = init_guide({"params": {"kernel": jax.random.normal(rng, (8, 4))}})
    return {**variables, "strata": {"counts": jnp.zeros(BATCH)}}


STAGE = Stage("prior", init, loss, update)


def options(accumulate):
    return StageOptions(
        batch_size=BATCH,
        accumulate=accumulate,
        optimizer=Descent(),
        schedule=Constant(0.1),
    )


@functools.cache
def batches():
    rng = np.random.default_rng(0)
    return [{"y": rng.normal(size=(BATCH, 4)).astype(np.float32)} for _ in range(2)]


def take_steps(step, state, batches):
    for batch in batches:
        state, metrics = step(state, {}, batch, jax.random.key(3))
    return state, jax.device_get(metrics)


@functools.cache
def alone():
    """The states before and after two steps on one device, and metrics of the last."""
    state = create(STAGE, options(1), jax.random.key(0), batches()[0])
    initial = jax.device_get(state)
    step = jax.jit(functools.partial(train_step, STAGE, options(1), Reduction()))
    return initial, *jax.device_get(take_steps(step, state, batches()))


@pytest.mark.parametrize(
    ("parallel", "accumulate"),
    [
        (ParallelOptions(axes=MeshAxes(fsdp=2), min_size=16), 1),
        (ParallelOptions("pmap"), 2),
    ],
    ids=["sharded", "pmap"],
)
def test_steps_on_eight_devices_equal_those_on_one(parallel, accumulate):
    initial, expected, expected_metrics = alone()
    strategy = make_strategy(parallel)
    step = strategy.compile(
        functools.partial(train_step, STAGE, options(accumulate)), initial
    )
    state, metrics = take_steps(
        step, strategy.to_step_layout(initial), map(strategy.shard_batch, batches())
    )
    state = jax.device_get(strategy.to_checkpoint_layout(state))
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(near, (state, metrics), (expected, expected_metrics))


def test_each_stratum_holds_one_example_of_a_step():
    _, state, _ = alone()
    assert state.variables["strata"]["counts"].tolist() == [1] * BATCH
    assert state.variables["guide"]["step"] == 2
