import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from regen_jax.modalities.image.affine import affine_transform, random_affine

random_affine_jit = jax.jit(random_affine)


def images(batch, height=8, width=8, channels=1):
    rng = np.random.default_rng(0)
    shape = (batch, height, width, channels)
    return jnp.asarray(rng.uniform(-1, 1, size=shape), jnp.float32)


def test_random_affine_of_strength_0_is_the_identity():
    y, keys = images(3, 8, 11, 2), jax.random.split(jax.random.key(1), 3)
    same = random_affine_jit(keys, y, rotation=0.0, scale=0.0, shear=0.0, shift=0.0)
    np.testing.assert_allclose(same, y, atol=1e-6)


def test_random_affine_depends_on_the_key_of_the_image():
    y, keys = images(4, 12, 12), jax.random.split(jax.random.key(1), 4)
    whole = random_affine_jit(keys, y)
    np.testing.assert_allclose(
        whole[1:3], random_affine_jit(keys[1:3], y[1:3]), atol=1e-6
    )
    assert whole.shape == y.shape and whole.dtype == y.dtype
    assert np.abs(whole).max() <= 1
    assert np.abs(whole - y).max(axis=(1, 2, 3)).min() > 0.1


def test_affine_transform_shifts_and_rotates():
    image = images(1, 5, 5)[0]
    eye, move = jnp.eye(2), jax.jit(affine_transform)
    shifted = move(image, eye, jnp.array([1.0, -2.0]))
    np.testing.assert_allclose(shifted[:4, 2:], image[1:, :3], atol=1e-6)
    np.testing.assert_allclose(shifted[4, 2:], image[4, :3], atol=1e-6)
    half = move(image, eye, jnp.array([0.0, 0.5]))
    np.testing.assert_allclose(
        half[:, :4], (image[:, :4] + image[:, 1:]) / 2, atol=1e-6
    )
    rotated = move(image, jnp.array([[0.0, -1.0], [1.0, 0.0]]), jnp.zeros(2))
    np.testing.assert_allclose(rotated, np.rot90(image, -1), atol=1e-5)


def test_affine_transform_equals_scipy():
    image = images(1, 7, 9)[0]
    matrix = np.array([[0.9, -0.3], [0.2, 1.1]])
    offset, center = np.array([0.4, -1.3]), np.array([3, 4])
    expected = scipy.ndimage.affine_transform(
        np.asarray(image[..., 0], np.float64),
        matrix,
        center + offset - matrix @ center,
        order=1,
        mode="nearest",
    )
    transformed = jax.jit(affine_transform)(
        image, jnp.asarray(matrix), jnp.asarray(offset)
    )
    np.testing.assert_allclose(transformed[..., 0], expected, atol=1e-5)
