"""Autoencoders of images, whose parts read the global batch, on one and on 8 devices."""

import functools

import jax
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.kl import KL
from regen_jax.abstractions.bottlenecks.lfq import LookupFreeQuantizer
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.abstractions.networks.vit import VitNetworks
from regen_jax.losses.perceptual import Perceptual
from regen_jax.losses.squared_error import SquaredError
from regen_jax.networks.features.convnet import ConvNetFeatures
from regen_jax.spaces import Array
from regen_jax.stages import abstraction_stage
from regen_jax.training.named_leaves import named_leaves
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import StageOptions
from regen_jax.training.step import create, train_step
from tests.losses.vqgan import ADVERSARY
from tests.training.descent import Constant, Descent

SPACE = Array((8, 8, 1), 0.0, 255.0)
MODELS = {
    "vit-kl": Autoencoder(
        SPACE,
        VitNetworks(4, width=8, num_layers=1, num_heads=2),
        KL(2, 0.1),
        code_noise=0.5,
    ),
    "conv2d-lfq-perceptual-adversarial": Autoencoder(
        SPACE,
        Conv2dNetworks((4,), 0, norm="group", downsample="stride"),
        LookupFreeQuantizer(3),
        (SquaredError(), Perceptual(network=ConvNetFeatures(4, 0)), ADVERSARY),
    ),
}
OPTIONS = StageOptions(batch_size=16, optimizer=Descent(), schedule=Constant(0.02))


def batch(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {"y": rng.integers(0, 256, (16, *SPACE.shape)).astype(np.uint8)}


@functools.cache
def initial(name: str):
    stage = abstraction_stage("abstraction", MODELS[name], "y")
    state = jax.jit(lambda key: create(stage, OPTIONS, key, batch(0)))
    return stage, jax.device_get(state(jax.random.key(0)))


@functools.cache
def three_steps(name: str, parallel: ParallelOptions):
    """The variables after three steps, and the metrics of each."""
    stage, state = initial(name)
    strategy = make_strategy(parallel)
    step = strategy.compile(functools.partial(train_step, stage, OPTIONS), state)
    state, metrics = strategy.to_step_layout(state), []
    for number in range(3):
        local = strategy.shard_batch(batch(number))
        state, values = step(state, {}, local, jax.random.key(1))
        metrics.append(jax.device_get(values))
    return jax.device_get(strategy.to_checkpoint_layout(state).variables), metrics


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "parallel",
    [ParallelOptions(axes=MeshAxes(fsdp=2), min_size=16), ParallelOptions("pmap")],
    ids=["data4-fsdp2", "pmap8"],
)
def test_devices_agree_with_one(name, parallel):
    variables, metrics = three_steps(name, ParallelOptions(axes=MeshAxes(data=1)))
    spread_variables, spread_metrics = three_steps(name, parallel)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    jax.tree.map(near, spread_metrics, metrics)
    jax.tree.map(near, spread_variables, variables)


def test_adversary_starts_late_and_pretrained_layers_stay():
    name = "conv2d-lfq-perceptual-adversarial"
    variables, metrics = three_steps(name, ParallelOptions(axes=MeshAxes(data=1)))
    assert metrics[0]["adaptive_weight"] == 0 == metrics[0]["discriminator_loss"]
    assert metrics[1]["adaptive_weight"] > 0 and metrics[1]["discriminator_loss"] > 0
    before = initial(name)[1].variables
    jax.tree.map(
        np.testing.assert_array_equal, variables["pretrained"], before["pretrained"]
    )
    for name, leaf in named_leaves(variables["params"]).items():
        # As many logits as not, within the hinges, leave that bias without a gradient.
        if not name.endswith("logits/bias"):
            assert np.any(leaf != named_leaves(before["params"])[name]), name
