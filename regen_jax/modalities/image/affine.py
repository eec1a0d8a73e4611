"""Affine transformations of images."""

import jax
import jax.numpy as jnp


def random_affine(
    keys: jax.Array,
    images: jax.Array,
    rotation: float = 0.2,
    scale: float = 0.12,
    shear: float = 0.2,
    shift: float = 0.07,
) -> jax.Array:
    """Transforms each image by a random affine map, for data augmentation.

    All parameters are drawn uniformly. Values between pixels are interpolated linearly,
    and the border is repeated.

    Args:
      keys: one key per image, [B]; its other uses are not affected.
      images: f32[B, H, W, C].
      rotation: maximum angle in radians.
      scale: maximum absolute logarithm of the factor of each side.
      shear: maximum shear in pixels per pixel.
      shift: maximum shift as a fraction of each side.

    Returns:
      f32[B, H, W, C].
    """

    def transform(key: jax.Array, image: jax.Array) -> jax.Array:
        draw = jax.random.uniform(jax.random.fold_in(key, 0), (6,), minval=-1, maxval=1)
        cos, sin = jnp.cos(rotation * draw[0]), jnp.sin(rotation * draw[0])
        matrix = jnp.array([[cos, -sin], [sin, cos]])
        matrix = matrix @ jnp.array([[1, shear * draw[1]], [0, 1]])
        matrix = matrix * jnp.exp(scale * draw[2:4])
        offset = shift * draw[4:6] * jnp.array(image.shape[:2])
        return affine_transform(image, matrix, offset)

    return jax.vmap(transform)(keys, images)


def affine_transform(
    image: jax.Array, matrix: jax.Array, offset: jax.Array
) -> jax.Array:
    """Resamples an image by an affine map about its center.

    The pixel at p is the value at `matrix @ (p - center) + center + offset`, in pixels.

    Args:
      image: f32[H, W, C].
      matrix: f32[2, 2], in the order of the axes.
      offset: f32[2], in the order of the axes.

    Returns:
      f32[H, W, C].
    """
    height, width, _ = image.shape
    center = jnp.array([(height - 1) / 2, (width - 1) / 2])
    pixels = jnp.stack(jnp.mgrid[:height, :width], axis=-1) - center
    positions = pixels @ matrix.T + center + offset

    def sample(channel: jax.Array) -> jax.Array:
        return jax.scipy.ndimage.map_coordinates(
            channel, [positions[..., 0], positions[..., 1]], order=1, mode="nearest"
        )

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
