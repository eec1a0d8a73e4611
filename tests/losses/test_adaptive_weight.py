"""Adaptive weights against their definition, by gradients of whole losses."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.bottlenecks.kl import KL
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.abstractions.networks.latent_queries import LatentQueriesNetworks
from regen_jax.abstractions.networks.vit import VitNetworks
from regen_jax.abstractions.networks.vocos import VocosNetworks
from regen_jax.losses.interface import check_terms
from regen_jax.losses.squared_error import SquaredError
from regen_jax.spaces import Array, Tokens
from tests.errors import value_error
from tests.losses.vqgan import ADVERSARY

SPACE = Array((8, 8, 1), 0.0, 255.0)
MODEL = Autoencoder(
    SPACE,
    VitNetworks(4, width=8, num_layers=1, num_heads=2),
    KL(3),
    (SquaredError(2.0), ADVERSARY),
)
Y = np.random.default_rng(0).uniform(0, 255, (6, *SPACE.shape)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), 6)


@functools.cache
def variables():
    """Those of a model whose adversary has started."""
    drawn = jax.jit(MODEL.init)(jax.random.key(0), Y)
    return {**drawn, "progress": {"step": jnp.ones((), jnp.int32)}}


def without(term_index: int) -> Autoencoder:
    """The model with one of its two terms alone, which is never scaled."""
    term = (SquaredError(2.0), dataclasses.replace(ADVERSARY, adaptive=False))
    return dataclasses.replace(MODEL, losses=(term[1 - term_index],))


def outputs_per_position(space: Array | Tokens) -> int:
    """Numbers that a network predicts of each pixel, token or frame, or of more."""
    if isinstance(space, Tokens):
        return space.vocab
    return space.shape[-1] if len(space.shape) == 3 else 2


def gradient_at_last_layer(model: Autoencoder, metric: str) -> np.ndarray:
    """The gradient of the mean of a metric by the decoder's last kernel."""
    leaves = flatten_dict(variables()["params"])
    path = ("decoder", *model.networks.last_layer)

    @jax.jit
    @jax.grad
    def gradient(kernel):
        params = unflatten_dict({**leaves, path: kernel})
        now = {**variables(), "params": params}
        return model.loss(now, KEYS, Y, False).metrics[metric].mean()

    return np.asarray(gradient(leaves[path]))


def test_weight_is_the_ratio_of_gradient_norms():
    output = jax.jit(MODEL.loss, static_argnums=3)(variables(), KEYS, Y, False)
    norms = [
        np.linalg.norm(gradient_at_last_layer(without(1), "reconstruction_loss")),
        np.linalg.norm(gradient_at_last_layer(without(0), "generator_loss")),
    ]
    # The weight of the reconstruction is in its gradient, that of the adversary is not.
    expected = 2 * norms[0] / (norms[1] + 1e-6)
    metrics = output.metrics
    np.testing.assert_allclose(metrics["adaptive_weight"], expected, rtol=1e-4)
    total = 2 * metrics["reconstruction_loss"] + metrics["discriminator_loss"]
    total += 0.8 * expected * metrics["generator_loss"] + metrics["bottleneck_loss"]
    np.testing.assert_allclose(output.loss, total, rtol=1e-4)


def test_gradient_takes_the_weight_for_a_constant():
    params = variables()["params"]

    def gradient(model: Autoencoder, params):
        def mean_loss(params):
            output = model.loss({**variables(), "params": params}, KEYS, Y, False)
            return output.loss.mean(), output.metrics

        grads, metrics = jax.grad(mean_loss, has_aux=True)(params)
        return grads, metrics.get("adaptive_weight", jnp.ones(6))[0]

    gradient = jax.jit(gradient, static_argnums=0)
    grads, factor = gradient(MODEL, params)
    fixed = dataclasses.replace(ADVERSARY, adaptive=False, weight=0.8 * float(factor))
    constant = dataclasses.replace(MODEL, losses=(SquaredError(2.0), fixed))
    expected, _ = gradient(constant, params)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6),
        grads,
        expected,
    )


def test_weight_before_the_start_is_zero():
    before = {**variables(), "progress": {"step": jnp.zeros((), jnp.int32)}}
    output = jax.jit(MODEL.loss, static_argnums=3)(before, KEYS, Y, False)
    assert not np.any(output.metrics["adaptive_weight"])
    expected = 2 * output.metrics["reconstruction_loss"]
    np.testing.assert_allclose(
        output.loss, expected + output.metrics["bottleneck_loss"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("networks", "space"),
    [
        (VitNetworks(4, width=8, num_heads=2), SPACE),
        (Conv2dNetworks((4, 6)), SPACE),
        (LatentQueriesNetworks(2, width=8, num_heads=2), Tokens(6, 5)),
        (VocosNetworks(width=8, segment=0), Array((1024,), -1.0, 1.0)),
    ],
    ids=["vit", "conv2d", "latent_queries", "vocos"],
)
def test_last_layer_has_the_outputs_of_the_prediction(networks, space):
    decoder = networks.decoder(space)
    latents = jnp.zeros((1, *networks.latent_shape(space), 3))
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), latents)
    kernel = flatten_dict(shapes["params"])[networks.last_layer]
    assert kernel.shape[-1] % outputs_per_position(space) == 0


@pytest.mark.parametrize(
    ("terms", "last_layer", "message"),
    [
        (
            (SquaredError(), ADVERSARY),
            (),
            "loss 'adversarial' cannot be adaptive, since the networks name no last ",
        ),
        (
            (SquaredError(0.0), ADVERSARY),
            ("head", "kernel"),
            "loss 'adversarial' cannot be adaptive by itself: add another loss",
        ),
    ],
)
def test_adaptive_weight_without_what_it_needs_raises_value_error(
    terms, last_layer, message
):
    assert value_error(check_terms, terms, SPACE, last_layer).startswith(message)
