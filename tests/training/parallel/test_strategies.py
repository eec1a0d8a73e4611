"""Every strategy against one device, on the same global batches.

Sums over the batch are taken in another order, and so differ in their last bits. All
comparisons are to 1e-5 of the largest value of an array.
"""

import contextlib
import functools
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import regen_jax
from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.identity import Identity
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.errors import UserError
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.interfaces import Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Array, Category
from regen_jax.stages import make_stages
from regen_jax.training.optimizers.adamw import AdamW
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.reductions import Reduction
from regen_jax.training.parallel.strategies import check_batch, make_strategy
from regen_jax.training.schedules.warmup_cosine import WarmupCosine
from regen_jax.training.stage import StageOptions
from regen_jax.training.step import create, train_step
from tests.training.descent import Constant, Descent

BATCH, STEPS, TOLERANCE = 16, 3, 1e-5


def sharded(**axes):
    return ParallelOptions(axes=MeshAxes(**axes), min_size=16)


class Noise(Task):
    """Images of noise in four classes."""

    x = Category(4)
    y = Array((8, 8, 1), 0.0, 255.0, step=1.0)

    def examples(self, split):
        return []


@functools.cache
def stages():
    networks = Conv2dNetworks((8,), num_blocks=0)
    bottleneck = VectorQuantizer(
        num_codes=16, dim=8, decay=0.2, dead_code_threshold=0.7
    )
    abstraction = Autoencoder(Noise.y, networks, bottleneck)
    prior = Autoregressive(
        Noise.x,
        abstraction.output_space,
        width=16,
        num_layers=1,
        num_heads=2,
        dropout=0.2,
        source_dropout=0.3,
    )
    parts = Regeneration(Identity(Noise.x), abstraction, prior)
    stages = make_stages(Noise(), parts)
    return {stage.name: stage for stage in stages}


def options(name, accumulate=1):
    """AdamW for the abstraction, plain descent for the prior.

    The bias of attention's keys has no gradient but rounding errors, and Adam would
    make whole steps of them.
    """
    update = {
        "abstraction": (AdamW(), WarmupCosine(warmup=0.0)),
        "prior": (Descent(), Constant(0.1)),
    }
    optimizer, schedule = update[name]
    return StageOptions(
        steps=10,
        batch_size=BATCH,
        accumulate=accumulate,
        optimizer=optimizer,
        schedule=schedule,
    )


def batch(step):
    rng = np.random.default_rng(step)
    y = rng.integers(0, 256, (BATCH, *Noise.y.shape)).astype(np.uint8)
    return {"x": rng.integers(0, 4, BATCH, np.int32), "y": y}


@functools.cache
def frozen(name):
    if name == "abstraction":
        return {}
    variables = jax.jit(stages()["abstraction"].init)(jax.random.key(1), batch(0))
    return {"abstraction": jax.device_get(variables)}


def initial(name):
    return create(stages()[name], options(name), jax.random.key(2), batch(0))


@functools.cache
def alone(name):
    """States before, after one and after three steps of a plain `jax.jit`; metrics."""
    step = jax.jit(
        functools.partial(train_step, stages()[name], options(name), Reduction())
    )
    states, metrics = [jax.jit(initial, static_argnums=0)(name)], []
    for number in range(STEPS):
        state, values = step(states[-1], frozen(name), batch(number), jax.random.key(3))
        states.append(state)
        metrics.append(values)
    return jax.device_get((states[0], states[1], states[3])), jax.device_get(metrics)


def spread_out(name, parallel, accumulate=1):
    """The same of a strategy, and the last state as it lies on the devices."""
    strategy = make_strategy(parallel)
    first = alone(name)[0][0]
    step = strategy.compile(
        functools.partial(train_step, stages()[name], options(name, accumulate)), first
    )
    state = strategy.to_step_layout(first)
    everywhere = strategy.to_step_layout(frozen(name))
    states, metrics = [first], []
    for number in range(STEPS):
        before, rng = state, jax.random.key(3)
        local_batch = strategy.shard_batch(batch(number))
        with compilations() as compiled:
            state, values = step(state, everywhere, local_batch, rng)
        assert not compiled or number == 0
        metrics.append(jax.device_get(values))
        # Not after the second: views of NumPy keep buffers from being donated.
        if number != 1:
            states.append(jax.device_get(strategy.to_checkpoint_layout(state)))
        if number == 2:
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before))
    return states, metrics, state


@contextlib.contextmanager
def compilations():
    """A list of what JAX compiles meanwhile."""
    events = []

    def listen(event, seconds, **_):
        if event.startswith("/jax/core/compile"):
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def assert_near(actual, expected):
    def near(path, a, b):
        largest = np.max(np.abs(b), initial=0)
        where = jax.tree_util.keystr(path)
        np.testing.assert_allclose(
            a, b, rtol=0, atol=TOLERANCE * largest, err_msg=where
        )

    jax.tree_util.tree_map_with_path(near, actual, expected)


@pytest.mark.parametrize("name", ["abstraction", "prior"])
@pytest.mark.parametrize(
    "parallel, accumulate",
    [
        (sharded(), 1),
        (sharded(fsdp=2), 2),
        (sharded(fsdp=8), 1),
        (ParallelOptions("pmap"), 1),
        (ParallelOptions("pmap"), 2),
    ],
    ids=["data8", "data4-fsdp2-accumulate2", "fsdp8", "pmap8", "pmap8-accumulate2"],
)
def test_strategies_agree_with_one_device(name, parallel, accumulate):
    expected_states, expected_metrics = alone(name)
    states, metrics, state = spread_out(name, parallel, accumulate)
    assert_near(metrics, expected_metrics)
    assert_near(states, list(expected_states))
    if parallel.axes.fsdp > 1:
        leaves = jax.tree.leaves(state.variables["params"])
        matrices = [leaf for leaf in leaves if leaf.ndim >= 2]
        for leaf in matrices:
            assert leaf.addressable_data(0).size == leaf.size // parallel.axes.fsdp


def test_codebook_of_these_tests_is_revived():
    (_, after, _), _ = alone("abstraction")
    codebook = after.variables["codebook"]
    # A revived code starts with the mean count: 16 x 16 latents over 16 codes.
    assert 2 <= np.sum(np.isclose(codebook["counts"], 16)) < 16
    np.testing.assert_allclose(
        codebook["codes"] * codebook["counts"][:, None], codebook["sums"], rtol=1e-6
    )


@pytest.mark.parametrize("parallel", [sharded(fsdp=4), ParallelOptions("pmap")])
def test_new_state_equals_that_of_one_device(parallel):
    strategy = make_strategy(parallel)
    state = strategy.create(functools.partial(initial, "abstraction"))
    (expected, _, _), _ = alone("abstraction")
    assert_near(jax.device_get(state), expected)
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == strategy.shardings(state)


@pytest.mark.parametrize(
    "parallel", [ParallelOptions(axes=MeshAxes(data=4)), sharded(data=2, fsdp=2)]
)
def test_fewer_devices_than_there_are_hold_the_batch(parallel):
    strategy = make_strategy(parallel)
    assert strategy.num_devices == 4
    placed = strategy.shard_batch({"x": np.arange(8)})["x"]
    shards = {s.device: s.data.tolist() for s in placed.addressable_shards}
    assert list(shards.values()) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert list(shards) == jax.devices()[:4]


@pytest.mark.parametrize(
    "parallel",
    [
        sharded(),
        sharded(fsdp=8),
        ParallelOptions("pmap"),
        ParallelOptions("pmap", MeshAxes(data=2)),
    ],
)
def test_checkpoint_layout_undoes_step_layout(parallel):
    strategy = make_strategy(parallel)
    tree = {"a": np.arange(128.0, dtype=np.float32).reshape(8, 16), "b": np.int32(3)}
    again = strategy.to_checkpoint_layout(
        strategy.to_step_layout(
            strategy.to_checkpoint_layout(strategy.to_step_layout(tree))
        )
    )
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), tree)
    # What it gives and what is read from a checkpoint can be computed with.
    restored = jax.device_put(tree, strategy.shardings(tree))
    total = jax.jit(lambda x, y: x["a"] + y["a"])(again, restored)
    np.testing.assert_array_equal(total, 2 * tree["a"])


@pytest.mark.parametrize(
    "parallel, words",
    [
        (
            ParallelOptions(axes=MeshAxes(data=16)),
            "data 16 x fsdp 1 devices, but there are 8",
        ),
        (
            ParallelOptions(axes=MeshAxes(data=4, fsdp=4)),
            "data 4 x fsdp 4 devices, but there are 8",
        ),
        (ParallelOptions(axes=MeshAxes(fsdp=16)), "fsdp 16 devices, but there are 8"),
        (ParallelOptions(axes=MeshAxes(fsdp=3)), "fsdp 3 does not divide 8 devices"),
        (
            ParallelOptions("pmap", MeshAxes(data=9)),
            "data 9 is more than the 8 devices",
        ),
    ],
)
def test_more_devices_than_there_are_raise_user_error(parallel, words):
    with pytest.raises(UserError, match=re.escape(words)):
        make_strategy(parallel)


@pytest.mark.parametrize("parallel", [sharded(fsdp=2), ParallelOptions("pmap")])
def test_batch_that_does_not_divide_raises_user_error(parallel):
    strategy = make_strategy(parallel)
    check_batch("config.train.prior", 32, 2, strategy)
    for size, accumulate in [(12, 1), (24, 2), (8, 2)]:
        words = f"batch_size {size} .* use a multiple of {8 * accumulate}"
        with pytest.raises(UserError, match=words):
            check_batch("config.train.prior", size, accumulate, strategy)


def test_only_parallel_knows_of_devices():
    root = Path(regen_jax.__file__).parent
    words = r"pmap|psum|pmean|all_gather|axis_name|axis_index|shard_map|NamedSharding"
    modules = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(words, path.read_text())
    ]
    others = [name for name in modules if not name.startswith("training/parallel/")]
    # It calls `Reduction.all_gather_params`.
    assert others == ["training/step.py"]
