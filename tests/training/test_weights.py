"""Means over tokens and batches: the same however a batch is split over devices."""

import functools

import jax
import numpy as np
import pytest

from regen_jax.loss_output import LossOutput, global_mean
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import Stage, StageOptions
from regen_jax.training.step import create, train_step
from tests.training.descent import Constant, Descent

BATCH = 16


@pytest.mark.parametrize(
    "parallel, accumulate",
    [
        (ParallelOptions(axes=MeshAxes(data=1)), 1),
        (ParallelOptions(axes=MeshAxes(data=1)), 4),
        (ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1), 2),
        (ParallelOptions("pmap"), 1),
        (ParallelOptions("pmap"), 2),
    ],
    ids=["one", "accumulate4", "data4-fsdp2-accumulate2", "pmap8", "pmap8-accumulate2"],
)
def test_mean_over_tokens_equals_that_of_the_global_batch(parallel, accumulate):
    rng = np.random.default_rng(0)
    count = np.array([1, 9, 1, 1, 5, 2, 7, 1, 3, 3, 8, 1, 1, 6, 2, 4])
    values = rng.normal(size=(BATCH, 9)).astype(np.float32)
    mask = np.arange(9) < count[:, None]

    def loss(variables, frozen, keys, batch, train):
        square = (variables["params"]["kernel"] - batch["values"]) ** 2
        square = square * (np.arange(9) < batch["count"][:, None])
        mean = square.sum(axis=1) / batch["count"]
        weight = batch["count"].astype(np.float32)
        return LossOutput(
            mean,
            {"error": mean, "whole": mean},
            weights={
                "loss": weight,
                "error": weight,
            },
        )

    kernel = rng.normal(size=9).astype(np.float32)
    stage = Stage("ragged", lambda rng, batch: {"params": {"kernel": kernel}}, loss)
    strategy = make_strategy(parallel)
    options = StageOptions(
        batch_size=BATCH,
        accumulate=accumulate,
        optimizer=Descent(),
        schedule=Constant(0.1),
    )
    state = create(stage, options, jax.random.key(0), {})
    step = strategy.compile(functools.partial(train_step, stage, options), state)
    batch = strategy.shard_batch({"values": values, "count": count})
    state, metrics = step(strategy.to_step_layout(state), {}, batch, jax.random.key(0))

    error = np.where(mask, kernel - values, 0)
    gradient = 2 * error.sum(axis=0) / count.sum()
    mean = (error**2).sum() / count.sum()
    updated = strategy.to_checkpoint_layout(state).variables["params"]["kernel"]
    np.testing.assert_allclose(updated, kernel - 0.1 * gradient, rtol=1e-5)
    assert metrics["loss"] == pytest.approx(mean, rel=1e-5)
    assert metrics["error"] == pytest.approx(mean, rel=1e-5)
    whole = ((error**2).sum(axis=1) / count).mean()
    assert metrics["whole"] == pytest.approx(whole, rel=1e-5)
    assert metrics["grad_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


@pytest.mark.parametrize(
    "parallel",
    [
        ParallelOptions(axes=MeshAxes(data=1)),
        ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1),
        ParallelOptions("pmap"),
    ],
    ids=["one", "data4-fsdp2", "pmap8"],
)
def test_loss_of_a_global_mean_equals_that_of_the_global_batch(parallel):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(BATCH, 9)).astype(np.float32)
    kernel = rng.normal(size=9).astype(np.float32)

    def loss(variables, frozen, keys, batch, train):
        products = variables["params"]["kernel"] * batch["values"]
        mean = global_mean(products.mean(axis=0))
        return LossOutput(np.ones(len(products)) * (mean**3).sum())

    stage = Stage("mean", lambda rng, batch: {"params": {"kernel": kernel}}, loss)
    strategy = make_strategy(parallel)
    options = StageOptions(
        batch_size=BATCH, optimizer=Descent(), schedule=Constant(0.1)
    )
    state = create(stage, options, jax.random.key(0), {})
    step = strategy.compile(functools.partial(train_step, stage, options), state)
    batch = strategy.shard_batch({"values": values})
    state, metrics = step(strategy.to_step_layout(state), {}, batch, jax.random.key(0))
    mean = values.mean(axis=0)
    gradient = 3 * (kernel * mean) ** 2 * mean
    updated = strategy.to_checkpoint_layout(state).variables["params"]["kernel"]
    np.testing.assert_allclose(updated, kernel - 0.1 * gradient, rtol=1e-5)
    assert metrics["loss"] == pytest.approx(((kernel * mean) ** 3).sum(), rel=1e-5)
