"""Least squares: its start, what it converges to, options that do not fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.regression import Regression
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Category, Tokens
from tests.generators.traces import assert_trains_and_samples

TARGET = Array((4, 4, 1), 0, 10)
TINY = DiTOptions(patch=2, width=8, num_layers=1, num_heads=2)
WIDER = DiTOptions(patch=2, width=16, num_layers=1, num_heads=2)

sample = jax.jit(Regression.sample, static_argnums=0)


def example_keys(number: int) -> jax.Array:
    return jax.random.split(jax.random.key(0), number)


def random_variables(model: Regression, scale: float = 0.1):
    """Draws the parameters of every layer, which is faster than `init`."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, scale, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


def zero_head(model: Regression):
    """Draws parameters but for the head, which a DiT starts at zero."""
    variables = random_variables(model)
    network = variables["params"]["network"]
    network["head"] = jax.tree.map(np.zeros_like, network["head"])
    return variables


def fit(model: Regression, source, target, steps: int = 300):
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    keys = example_keys(len(source))

    def step(carry, _):
        variables, state = carry
        gradients = jax.grad(
            lambda v: model.loss(v, keys, source, target, True).loss.mean()
        )(variables)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def train(variables):
        carry = variables, optimizer.init(variables)
        return jax.lax.scan(step, carry, None, length=steps)[0][0]

    return train(random_variables(model))


def test_new_model_returns_the_resized_source():
    model = Regression(Array((2, 2, 1), 0, 10), TARGET, TINY)
    source = jnp.array([[[[0.0], [10.0]], [[0.0], [10.0]]]])
    variables = zero_head(model)
    y = sample(model, variables, example_keys(1), source)
    expected = np.broadcast_to(np.array([0, 2.5, 7.5, 10])[None, :, None], (4, 4, 1))
    np.testing.assert_allclose(y[0], expected, atol=1e-5)


def test_loss_is_of_the_normalized_target():
    model = Regression(Array((2, 2, 1), 0, 10), TARGET, TINY)
    variables = zero_head(model)
    source = jnp.full((2, 2, 2, 1), 4.0)
    target = np.random.default_rng(0).uniform(0, 10, (2, 4, 4, 1)).astype(np.float32)
    loss = jax.jit(model.loss, static_argnums=4)
    output = loss(variables, example_keys(2), source, target, False)
    mse = ((target - 4) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(output.loss, mse / 25, rtol=1e-5)


def test_fit_converges_to_the_mean_given_each_source():
    model = Regression(Category(2), Array((4, 2), 0, 1), WIDER)
    target = np.random.default_rng(0).uniform(0, 1, (6, 4, 2)).astype(np.float32)
    variables = fit(model, jnp.array([0, 0, 0, 1, 1, 1]), target)
    y = sample(model, variables, example_keys(2), jnp.array([0, 1]))
    expected = [target[:3].mean(axis=0), target[3:].mean(axis=0)]
    np.testing.assert_allclose(y, expected, atol=0.02)


def test_fit_adds_details_that_the_source_lacks():
    model = Regression(Array((2, 2, 1), 0, 1), Array((4, 4, 1), 0, 1), WIDER)
    target = np.random.default_rng(1).uniform(0, 1, (3, 4, 4, 1)).astype(np.float32)
    source = target.reshape(3, 2, 2, 2, 2, 1).mean(axis=(2, 4))
    keys = example_keys(3)
    variables = fit(model, source, target)
    y = sample(model, variables, keys, source)
    np.testing.assert_allclose(y, target, atol=0.05)
    np.testing.assert_array_equal(y, sample(model, variables, keys[::-1], source))


@pytest.mark.parametrize(
    "source_space",
    [
        Category(3),
        Tokens(4, 5),
        Tokens(4, 5, depth=2),
        Array((2, 2, 3), 0, 1),
        Array((5, 3)),
        Array((6,)),
    ],
)
def test_every_kind_of_source_conditions(source_space):
    network = dataclasses.replace(TINY, dropout=0.1, remat="full")
    model = Regression(source_space, TARGET, network)
    assert_trains_and_samples(model)


@pytest.mark.parametrize(
    ("source_space", "options", "message"),
    [
        (Category(2), {"patch": 8}, "patch 8 does not divide the axes of Array"),
        (Category(2), {"dtype": "int8"}, "'float32' or 'bfloat16', not 'int8'"),
        (Array((2, 3), padded=True), {}, "source of constant length"),
    ],
)
def test_option_that_does_not_fit_raises_value_error(source_space, options, message):
    with pytest.raises(ValueError, match=message) as error:
        Regression(source_space, TARGET, DiTOptions(**options))
    assert "\n" not in str(error.value)
