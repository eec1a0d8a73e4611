import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.judges.image_classifier import ConvNet

SMALL = ConvNet(num_classes=3, width=4, num_blocks=1, feature_dim=5)
apply = jax.jit(SMALL.apply)


def images(batch, height=8, width=8, channels=1):
    rng = np.random.default_rng(0)
    return jnp.asarray(
        rng.uniform(-1, 1, size=(batch, height, width, channels)), jnp.float32
    )


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 70, 3)])
def test_network_accepts_any_size_and_returns_float32(shape):
    network = SMALL.clone(dtype=jnp.bfloat16)
    y = images(2, *shape)
    variables = jax.jit(network.init)(jax.random.key(0), y)
    logits, features = jax.jit(network.apply)(variables, y)
    assert logits.shape == (2, 3) and features.shape == (2, 5)
    assert {x.dtype for x in (logits, features, *jax.tree.leaves(variables))} == {
        np.dtype(np.float32)
    }
    exact, _ = apply(variables, y)
    np.testing.assert_allclose(logits, exact, atol=0.03)


def test_dropout_depends_on_the_key_of_the_example():
    y, keys = images(4), jax.random.split(jax.random.key(1), 4)
    variables = jax.jit(SMALL.init)(jax.random.key(0), y)
    plain, _ = apply(variables, y)
    whole, _ = apply(variables, y, keys)
    parts = [apply(variables, y[i : i + 2], keys[i : i + 2])[0] for i in (0, 2)]
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-6)
    assert np.abs(whole - plain).max() > 1e-3


def test_network_fits_four_images():
    y, labels = images(4), jnp.array([0, 1, 2, 1])
    variables = jax.jit(SMALL.init)(jax.random.key(0), y)
    optimizer = optax.adam(3e-2)

    @jax.jit
    def step(variables, state):
        def loss(variables):
            logits, _ = SMALL.apply(variables, y)
            return optax.softmax_cross_entropy_with_integer_labels(
                logits, labels
            ).mean()

        value, gradients = jax.value_and_grad(loss)(variables)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(variables, updates), state, value

    state = optimizer.init(variables)
    first = step(variables, state)[2]
    for _ in range(40):
        variables, state, value = step(variables, state)
    assert first > 0.5 and value < 0.05
