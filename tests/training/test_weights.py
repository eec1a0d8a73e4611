"""Means over tokens and batches: the same however a batch is split over devices."""

import numpy as np
import pytest

from regen_jax.loss_output import LossOutput, global_mean
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from tests.training.descent_step import descend, on_one_and_eight_devices

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
    batch = {"values": values, "count": count}
    descended, metrics = descend(parallel, loss, kernel, batch, accumulate)
    error = np.where(mask, kernel - values, 0)
    gradient = 2 * error.sum(axis=0) / count.sum()
    mean = (error**2).sum() / count.sum()
    np.testing.assert_allclose(descended, gradient, rtol=1e-5, atol=1e-6)
    assert metrics["loss"] == pytest.approx(mean, rel=1e-5)
    assert metrics["error"] == pytest.approx(mean, rel=1e-5)
    whole = ((error**2).sum(axis=1) / count).mean()
    assert metrics["whole"] == pytest.approx(whole, rel=1e-5)
    assert metrics["grad_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


@on_one_and_eight_devices
def test_loss_of_a_global_mean_equals_that_of_the_global_batch(parallel):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(BATCH, 9)).astype(np.float32)
    kernel = rng.normal(size=9).astype(np.float32)

    def loss(variables, frozen, keys, batch, train):
        products = variables["params"]["kernel"] * batch["values"]
        mean = global_mean(products.mean(axis=0))
        return LossOutput(np.ones(len(products)) * (mean**3).sum())

    descended, metrics = descend(parallel, loss, kernel, {"values": values})
    mean = values.mean(axis=0)
    gradient = 3 * (kernel * mean) ** 2 * mean
    np.testing.assert_allclose(descended, gradient, rtol=1e-5, atol=1e-6)
    assert metrics["loss"] == pytest.approx(((kernel * mean) ** 3).sum(), rel=1e-5)
