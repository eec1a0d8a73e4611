"""Dense layers; no network that predicts logits rounds them to bfloat16."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.autoencoder import Autoencoder
from regen_jax.abstractions.networks.latent_queries import LatentQueriesNetworks
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.regression import Regression
from regen_jax.judges.image_classifier import ConvNet
from regen_jax.losses.cross_entropy import CrossEntropy
from regen_jax.networks.dit import DiTOptions
from regen_jax.networks.linear import Head, Linear
from regen_jax.spaces import Array, Category, Tokens, zeros

VOCAB = 37
TEXT, STACK = Tokens(4, VOCAB, padded=True), Tokens(4, VOCAB, depth=2, padded=True)
SPEECH = Array((6, 3), padded=True)
TINY = {"width": 8, "num_layers": 1, "num_heads": 2, "dtype": "bfloat16"}
READER = Autoregressive(TEXT, TEXT, encoder_layers=1, conditioning="cross", **TINY)
MODELS = {
    "untied": READER,
    "tied": dataclasses.replace(READER, head="tied"),
    "pointer": dataclasses.replace(READER, head="pointer"),
    "stack": Autoregressive(Category(2), STACK, **TINY),
    "ctc": dataclasses.replace(READER, source_space=SPEECH, ctc=0.3),
}


def test_linear_over_axes_is_dense_over_their_product():
    x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    linear, dense = Linear((2, 6), num_inputs=2), nn.Dense(12)
    variables = linear.init(jax.random.key(1), x)
    assert variables["params"]["kernel"].shape == (4, 5, 2, 6)
    flat = dense.init(jax.random.key(1), x.reshape(2, 3, 20))
    kernel = variables["params"]["kernel"].reshape(20, 12)
    np.testing.assert_array_equal(kernel, flat["params"]["kernel"])
    variables = jax.tree.map(
        lambda p: p + jnp.arange(p.size).reshape(p.shape), variables
    )
    flat = jax.tree.map(lambda p, q: q.reshape(p.shape), flat, variables)
    y = linear.apply(variables, x)
    assert y.shape == (2, 3, 2, 6)
    expected = dense.apply(flat, x.reshape(2, 3, 20)).reshape(y.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_head_is_dense_with_float32_sums():
    x = jax.random.normal(jax.random.key(0), (2, 3, 5))
    head, dense = Head(4), Linear(4)
    variables = head.init(jax.random.key(1), x)
    jax.tree.map(
        np.testing.assert_array_equal, variables, dense.init(jax.random.key(1), x)
    )
    bias = {"params": {**variables["params"], "bias": jnp.arange(4.0) + 1 / 3}}
    np.testing.assert_allclose(
        head.apply(bias, x), nn.Dense(4).apply(bias, x), rtol=1e-6
    )


def test_bfloat16_head_rounds_operands_only():
    rng = np.random.default_rng(0)
    width, size = 128, 500
    x = jnp.asarray(rng.normal(size=(64, width)), jnp.bfloat16)
    kernel = jnp.asarray(0.7 * rng.normal(size=(width, size)), jnp.float32)
    bias = jnp.asarray(rng.normal(size=size), jnp.float32)
    variables = {"params": {"kernel": kernel, "bias": bias}}

    exact = np.asarray(x, np.float64) @ np.asarray(kernel.astype(jnp.bfloat16), float)
    exact += np.asarray(bias, np.float64)
    target = exact.argmax(axis=1)

    def nats(logits):
        log_probs = jax.nn.log_softmax(jnp.asarray(logits, jnp.float32))
        return -np.asarray(log_probs)[np.arange(len(target)), target]

    logits = Head(size, jnp.bfloat16).apply(variables, x)
    assert logits.dtype == jnp.float32
    np.testing.assert_allclose(logits, exact, rtol=1e-5, atol=1e-4)
    rounded = Linear(size, dtype=jnp.bfloat16).apply(variables, x)
    expected = nats(exact)
    assert np.abs(nats(logits) - expected).max() < 1e-3
    assert np.abs(nats(rounded) - expected).max() > 1e-2


def rounded_logits(function, *arguments):
    """Shapes of bfloat16 arrays in a program whose last axis is of tokens."""
    shapes = []

    def walk(jaxpr):
        for eqn in jaxpr.eqns:
            for var in eqn.outvars:
                shape, dtype = var.aval.shape, var.aval.dtype
                of_tokens = shape[-1:] in ((VOCAB,), (2 * VOCAB,))
                # Not kernels, whose first axis is a width.
                if dtype == jnp.bfloat16 and of_tokens and shape[0] not in (8, 64):
                    shapes.append((eqn.primitive.name, shape))
            for value in eqn.params.values():
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    walk(inner)

    walk(jax.make_jaxpr(function)(*arguments).jaxpr)
    return shapes


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("method", ["loss", "log_prob", "sample"])
def test_generator_does_not_round_logits(model, method):
    variables = jax.eval_shape(model.init, jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 3)
    source, target = zeros(model.source_space, 3), zeros(model.target_space, 3)
    methods = {
        "loss": lambda v: model.loss(v, keys, source, target, True),
        "log_prob": lambda v: model.log_prob(v, source, target),
        "sample": lambda v: model.sample(v, keys, source),
    }
    assert rounded_logits(methods[method], variables) == []


def test_other_networks_do_not_round_predictions():
    networks = LatentQueriesNetworks(num_latents=3, **TINY)
    autoencoder = Autoencoder(STACK, networks, losses=(CrossEntropy(),))
    y = zeros(STACK, 3)
    variables = jax.eval_shape(autoencoder.init, jax.random.key(0), y)
    keys = jax.random.split(jax.random.key(1), 3)
    loss = functools.partial(autoencoder.loss, train=True)
    assert rounded_logits(loss, variables, keys, y) == []

    judge, images = ConvNet(VOCAB, dtype=jnp.bfloat16), jnp.zeros((3, 8, 8, 1))
    variables = jax.eval_shape(judge.init, jax.random.key(0), images)
    assert rounded_logits(judge.apply, variables, images) == []

    network = DiTOptions(**TINY)
    model = Regression(Category(2), Array((3, VOCAB), -1.0, 1.0), network)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    source = jnp.zeros(3, int)
    assert rounded_logits(model.sample, variables, keys, source) == []
