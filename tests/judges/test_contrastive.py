import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from regen_jax.judges.contrastive import Contrastive
from regen_jax.spaces import Array, Tokens
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import Stage, StageOptions
from regen_jax.training.step import create, train_step
from tests.training.descent import Constant, Descent

BATCH = 8
JUDGE = Contrastive(
    Tokens(4, 9, padded=True), Array((8, 8, 3), 0.0, 255.0, step=1.0), width=4, dim=5
)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (BATCH, 4)).astype(np.int32)
    x[:, 3], x[::2, 2] = 0, 0
    return {"x": x, "y": rng.integers(0, 256, (BATCH, 8, 8, 3)).astype(np.uint8)}


@pytest.fixture(scope="module")
def variables(pairs):
    made = jax.jit(JUDGE.init)(jax.random.key(0), pairs["x"], pairs["y"])
    return jax.device_get(made)  # A step would take the buffers of arrays of JAX.


def evaluate(variables, x, y):
    return jax.jit(JUDGE.loss, static_argnums=4)(
        variables, jax.random.split(jax.random.key(1), len(x)), x, y, False
    )


def test_loss_equals_cross_entropies_of_both_directions(variables, pairs):
    output = evaluate(variables, **pairs)
    texts = JUDGE.embed_captions(variables, pairs["x"])
    images, features = JUDGE.embed_images(variables, pairs["y"], batch_size=3)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, rtol=1e-5)
    assert features.shape == (BATCH, 64)
    logits = images @ texts.T / 0.07
    nats = [np.diag(log_softmax(side, axis=1)) for side in (logits, logits.T)]
    np.testing.assert_allclose(output.loss, -np.mean(nats, axis=0), atol=1e-4)
    nearest = logits.argmax(axis=1) == np.arange(BATCH)
    np.testing.assert_array_equal(output.metrics["top1"], nearest)


def test_padding_has_no_part_in_an_embedding(variables, pairs):
    x = pairs["x"][::2]
    altered = np.where(np.arange(4) >= 3, 7, x)
    same = JUDGE.embed_captions(variables, x)
    np.testing.assert_allclose(
        JUDGE.embed_captions(variables, altered), same, atol=1e-6
    )


@pytest.mark.parametrize(
    "parallel",
    [ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1), ParallelOptions("pmap")],
    ids=["data4-fsdp2", "pmap8"],
)
def test_step_on_any_devices_compares_the_global_batch(parallel, variables, pairs):
    def loss(variables, frozen, keys, batch, train):
        return JUDGE.loss(variables, keys, batch["x"], batch["y"], False)

    stage = Stage("judge", lambda rng, batch: variables, loss)
    options = StageOptions(
        batch_size=BATCH, optimizer=Descent(), schedule=Constant(0.1)
    )
    strategy = make_strategy(parallel)
    state = create(stage, options, jax.random.key(0), {})
    step = strategy.compile(functools.partial(train_step, stage, options), state)
    batch = strategy.shard_batch(pairs)
    state, metrics = step(strategy.to_step_layout(state), {}, batch, jax.random.key(0))

    def mean(params):
        return jnp.mean(evaluate({"params": params}, **pairs).loss)

    value, gradient = jax.value_and_grad(mean)(variables["params"])
    assert metrics["loss"] == pytest.approx(float(value), rel=1e-4)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, variables["params"], gradient)
    updated = strategy.to_checkpoint_layout(state).variables["params"]
    leaves = zip(jax.tree.leaves(updated), jax.tree.leaves(expected), strict=True)
    for actual, desired in jax.device_get(list(leaves)):
        np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=1e-4)
