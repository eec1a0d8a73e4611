"""The judge of samples: a small convolutional classifier, trained on real images."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.embeddings import dropout
from regen_jax.networks.linear import Head

_GRID = 8


class Classifier(nn.Module):
    """Classes and features of images of any size from 8 x 8.

    Strided convolutions bring an image to a grid of at most 8 x 8, where almost all of
    the work is done: a convolution at full size would cost more than all of the rest.
    """

    num_classes: int
    width: int = 48
    num_blocks: int = 1
    feature_dim: int = 64
    dropout_rate: float = 0.2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, y: jax.Array, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Maps y f32[B, H, W, C] in [-1, 1] to logits f32[B, K] and features f32[B, D].

        `keys` [B] turns on dropout, for training. The features are linear outputs, few
        and without a nonlinearity, so that a Gaussian with a covariance of full rank
        can be fitted to some hundred examples.
        """

        def conv(x, width, kernel=3, stride=1):
            layer = nn.Conv(
                width,
                (kernel, kernel),
                (stride, stride),
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
            )
            return nn.gelu(layer(x))

        levels = max(2, math.ceil(math.log2(max(y.shape[1:3]) / _GRID)))
        x = conv(y, self.width // 2, kernel=5, stride=2)
        for _ in range(levels - 1):
            x = conv(x, self.width, stride=2)
        for _ in range(self.num_blocks):
            x = x + conv(x, self.width)
        x = dropout(x.reshape(len(x), -1), keys, self.dropout_rate, layer=1)
        features = nn.Dense(self.feature_dim, dtype=self.dtype, name="features")(x)
        h = dropout(nn.gelu(features), keys, self.dropout_rate, layer=2)
        logits = Head(self.num_classes, self.dtype, name="logits")(h)
        return logits, features.astype(jnp.float32)


def augment(
    keys: jax.Array,
    y: jax.Array,
    rotation: float = 0.2,
    scale: float = 0.12,
    shear: float = 0.2,
    shift: float = 0.07,
) -> jax.Array:
    """Moves each image by a random affine map: y f32[B, H, W, C], a key an example.

    Each strength bounds a uniform draw: `rotation` in radians, `scale` of the logarithm
    of each side, `shear` in pixels a pixel, `shift` as a share of each side. Pixels in
    between are interpolated linearly and the border is repeated. `Classifier` may take
    the same keys.
    """

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        draw = jax.random.uniform(jax.random.fold_in(key, 0), (6,), minval=-1, maxval=1)
        cos, sin = jnp.cos(rotation * draw[0]), jnp.sin(rotation * draw[0])
        matrix = jnp.array([[cos, -sin], [sin, cos]])
        matrix = matrix @ jnp.array([[1, shear * draw[1]], [0, 1]])
        matrix = matrix * jnp.exp(scale * draw[2:4])
        return affine(image, matrix, shift * draw[4:6] * jnp.array(image.shape[:2]))

    return jax.vmap(one)(keys, y)


def affine(image: jax.Array, matrix: jax.Array, offset: jax.Array) -> jax.Array:
    """Resamples an image f32[H, W, C] about its centre.

    The pixel at p comes from `matrix @ (p - centre) + centre + offset`, in pixels, with
    matrix [2, 2] and offset [2] in the order of the axes.
    """
    height, width, _ = image.shape
    centre = jnp.array([(height - 1) / 2, (width - 1) / 2])
    pixels = jnp.stack(jnp.mgrid[:height, :width], axis=-1) - centre
    source = pixels @ matrix.T + centre + offset

    def sample(channel: jax.Array) -> jax.Array:
        return jax.scipy.ndimage.map_coordinates(
            channel, [source[..., 0], source[..., 1]], order=1, mode="nearest"
        )

    return jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
