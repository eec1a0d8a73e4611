"""A step of plain descent on any number of devices, to compare with gradients by hand."""

import functools
from collections.abc import Callable

import jax
import numpy as np
import pytest

from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import Stage, StageOptions
from regen_jax.training.step import create, train_step
from tests.training.descent import Constant, Descent

on_one_and_eight_devices = pytest.mark.parametrize(
    "parallel",
    [
        ParallelOptions(axes=MeshAxes(data=1)),
        ParallelOptions(axes=MeshAxes(fsdp=2), min_size=1),
        ParallelOptions("pmap"),
    ],
    ids=["one", "data4-fsdp2", "pmap8"],
)
"""Gives a test each strategy, as `parallel`."""


def descend(
    parallel: ParallelOptions,
    loss: Callable,
    kernel: np.ndarray,
    batch: dict[str, np.ndarray],
    accumulate: int = 1,
) -> tuple[np.ndarray, dict[str, jax.Array]]:
    """Returns the gradient by the parameter `kernel`, from a step, and its metrics."""
    stage = Stage("descent", lambda rng, batch: {"params": {"kernel": kernel}}, loss)
    strategy = make_strategy(parallel)
    size = len(next(iter(batch.values())))
    options = StageOptions(
        batch_size=size,
        accumulate=accumulate,
        optimizer=Descent(),
        schedule=Constant(1.0),
    )
    state = create(stage, options, jax.random.key(0), {})
    step = strategy.compile(functools.partial(train_step, stage, options), state)
    local = strategy.shard_batch(batch)
    state, metrics = step(strategy.to_step_layout(state), {}, local, jax.random.key(0))
    updated = strategy.to_checkpoint_layout(state).variables["params"]["kernel"]
    return kernel - np.asarray(updated), metrics
