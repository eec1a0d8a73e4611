"""Least squares: where it starts, what it converges to, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.regression import Regression
from regen_jax.spaces import Array, Category, Tokens, zeros

TARGET = Array((4, 4, 1), 0, 10)
TINY = {"patch": 2, "width": 8, "num_layers": 1, "num_heads": 2}

sample = jax.jit(Regression.sample, static_argnums=0)


def example_keys(number: int) -> jax.Array:
    return jax.random.split(jax.random.key(0), number)


def random_variables(model: Regression, scale: float = 0.1):
    """Parameters of every layer drawn at random, quicker to make than a true start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, scale, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


def start(model: Regression):
    """Random parameters but for the head, which a DiT starts at zero."""
    variables = random_variables(model)
    head = variables["params"]["dit"]["head"]
    variables["params"]["dit"]["head"] = jax.tree.map(np.zeros_like, head)
    return variables


def fit(model: Regression, a, b, steps: int = 300):
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    keys = example_keys(len(a))

    def step(carry, _):
        variables, state = carry
        gradients = jax.grad(lambda v: model.loss(v, keys, a, b, True).loss.mean())(
            variables
        )
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def train(variables):
        carry = variables, optimizer.init(variables)
        return jax.lax.scan(step, carry, None, length=steps)[0][0]

    return train(random_variables(model))


def test_starts_at_the_resized_source():
    model = Regression(Array((2, 2, 1), 0, 10), TARGET, **TINY)
    a = jnp.array([[[[0.0], [10.0]], [[0.0], [10.0]]]])
    variables = start(model)
    y = sample(model, variables, example_keys(1), a)
    expected = np.broadcast_to(np.array([0, 2.5, 7.5, 10])[None, :, None], (4, 4, 1))
    np.testing.assert_allclose(y[0], expected, atol=1e-5)


def test_loss_is_of_the_normalized_target():
    model = Regression(Array((2, 2, 1), 0, 10), TARGET, **TINY)
    variables = start(model)
    a = jnp.full((2, 2, 2, 1), 4.0)
    b = np.random.default_rng(0).uniform(0, 10, (2, 4, 4, 1)).astype(np.float32)
    loss = jax.jit(model.loss, static_argnums=4)
    objective = loss(variables, example_keys(2), a, b, False)
    mse = ((b - 4) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(objective.loss, mse / 25, rtol=1e-5)


def test_converges_to_the_mean_of_each_source():
    model = Regression(Category(2), Array((4, 2), 0, 1), **{**TINY, "width": 16})
    b = np.random.default_rng(0).uniform(0, 1, (6, 4, 2)).astype(np.float32)
    a = jnp.array([0, 0, 0, 1, 1, 1])
    variables = fit(model, a, b)
    y = sample(model, variables, example_keys(2), jnp.array([0, 1]))
    np.testing.assert_allclose(y, [b[:3].mean(0), b[3:].mean(0)], atol=0.02)


def test_overfits_details_that_its_source_lacks():
    target = Array((4, 4, 1), 0, 1)
    model = Regression(Array((2, 2, 1), 0, 1), target, **{**TINY, "width": 16})
    b = np.random.default_rng(1).uniform(0, 1, (3, 4, 4, 1)).astype(np.float32)
    a = b.reshape(3, 2, 2, 2, 2, 1).mean(axis=(2, 4))
    keys = example_keys(3)
    variables = fit(model, a, b)
    y = sample(model, variables, keys, a)
    np.testing.assert_allclose(y, b, atol=0.05)
    np.testing.assert_array_equal(y, sample(model, variables, keys[::-1], a))


@pytest.mark.parametrize(
    "source",
    [
        Category(3),
        Tokens(4, 5),
        Tokens(4, 5, depth=2),
        Array((2, 2, 3), 0, 1),
        Array((5, 3)),
        Array((6,)),
    ],
)
def test_every_kind_of_source_fits(source):
    model = Regression(source, TARGET, dropout=0.1, remat=True, **TINY)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    keys, a, b = example_keys(2), zeros(source, 2), zeros(TARGET, 2)
    objective = jax.eval_shape(lambda v: model.loss(v, keys, a, b, True), variables)
    y = jax.eval_shape(lambda v: model.sample(v, keys, a), variables)
    assert (objective.loss.shape, objective.loss.dtype) == ((2,), jnp.float32)
    assert (y.shape, y.dtype) == ((2, 4, 4, 1), jnp.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 8}, "patch 8 does not divide the axes of Array(4, 4, 1)"),
        ({"dtype": "int8"}, "'float32' or 'bfloat16', not 'int8'"),
        ({"source_space": Array((2, 3), padded=True)}, "source of constant length"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(options, message):
    given = {"source_space": Category(2), "target_space": TARGET, **TINY, **options}
    with pytest.raises(ValueError) as error:
        Regression(**given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
