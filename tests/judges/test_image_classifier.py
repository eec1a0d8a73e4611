import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.judges.classifier import Classifier, affine, augment

SMALL = Classifier(num_classes=3, width=4, num_blocks=1, feature_dim=5)
apply = jax.jit(SMALL.apply)
augment_jit = jax.jit(augment)


def images(batch, height=8, width=8, channels=1):
    rng = np.random.default_rng(0)
    return jnp.asarray(
        rng.uniform(-1, 1, size=(batch, height, width, channels)), jnp.float32
    )


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 70, 3)])
def test_takes_any_size_and_gives_float32(shape):
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


def test_dropout_belongs_to_the_example():
    y, keys = images(4), jax.random.split(jax.random.key(1), 4)
    variables = jax.jit(SMALL.init)(jax.random.key(0), y)
    plain, _ = apply(variables, y)
    whole, _ = apply(variables, y, keys)
    parts = [apply(variables, y[i : i + 2], keys[i : i + 2])[0] for i in (0, 2)]
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-6)
    assert np.abs(whole - plain).max() > 1e-3


def test_learns_four_images():
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


def test_augment_of_no_strength_is_the_identity():
    y, keys = images(3, 8, 11, 2), jax.random.split(jax.random.key(1), 3)
    same = augment_jit(keys, y, rotation=0.0, scale=0.0, shear=0.0, shift=0.0)
    np.testing.assert_allclose(same, y, atol=1e-6)


def test_augment_belongs_to_the_example_and_stays_in_range():
    y, keys = images(4, 12, 12), jax.random.split(jax.random.key(1), 4)
    whole = augment_jit(keys, y)
    np.testing.assert_allclose(whole[1:3], augment_jit(keys[1:3], y[1:3]), atol=1e-6)
    assert whole.shape == y.shape and whole.dtype == y.dtype
    assert np.abs(whole).max() <= 1
    assert np.abs(whole - y).max(axis=(1, 2, 3)).min() > 0.1


def test_affine_shifts_and_turns():
    image = images(1, 5, 5)[0]
    eye, move = jnp.eye(2), jax.jit(affine)
    shifted = move(image, eye, jnp.array([1.0, -2.0]))
    np.testing.assert_allclose(shifted[:4, 2:], image[1:, :3], atol=1e-6)
    np.testing.assert_allclose(shifted[4, 2:], image[4, :3], atol=1e-6)
    half = move(image, eye, jnp.array([0.0, 0.5]))
    np.testing.assert_allclose(
        half[:, :4], (image[:, :4] + image[:, 1:]) / 2, atol=1e-6
    )
    turned = move(image, jnp.array([[0.0, -1.0], [1.0, 0.0]]), jnp.zeros(2))
    np.testing.assert_allclose(turned, np.rot90(image, -1), atol=1e-5)


def test_affine_agrees_with_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = images(1, 7, 9)[0]
    matrix = np.array([[0.9, -0.3], [0.2, 1.1]])
    offset, centre = np.array([0.4, -1.3]), np.array([3, 4])
    expected = ndimage.affine_transform(
        np.asarray(image[..., 0], np.float64),
        matrix,
        centre + offset - matrix @ centre,
        order=1,
        mode="nearest",
    )
    got = jax.jit(affine)(image, jnp.asarray(matrix), jnp.asarray(offset))
    np.testing.assert_allclose(got[..., 0], expected, atol=1e-5)
