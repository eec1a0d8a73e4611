"""A small convolutional classifier of images, and its layers alone."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layers import Conv, Dense, he_normal
from regen_jax.networks.linear import Head

_GRID = 8


def conv_maps(
    images: jax.Array, width: int, num_blocks: int, dtype: jnp.dtype
) -> list[jax.Array]:
    """Returns the output [B, h, w, C] of each layer, within the calling module.

    Strided convolutions reduce images [B, H, W, C] to a grid of at most 8 x 8.
    """

    def conv(x, width, kernel=3, stride=1):
        layer = Conv(
            width,
            (kernel, kernel),
            (stride, stride),
            kernel_init=he_normal,
            dtype=dtype,
        )
        return nn.gelu(layer(x))

    num_levels = max(2, math.ceil(math.log2(max(images.shape[1:3]) / _GRID)))
    maps = [conv(images, width // 2, kernel=5, stride=2)]
    for _ in range(num_levels - 1):
        maps.append(conv(maps[-1], width, stride=2))
    for _ in range(num_blocks):
        maps.append(maps[-1] + conv(maps[-1], width))
    return maps


class ConvMaps(nn.Module):
    """The layers of a `ConvNet` without its head; parameters have the same names."""

    width: int = 48
    num_blocks: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the output f32[B, h, w, C] of each layer for images in [-1, 1]."""
        return conv_maps(images, self.width, self.num_blocks, self.dtype)


class ConvNet(nn.Module):
    """A small convolutional network for images of at least 8 x 8 pixels.

    Strided convolutions reduce an image to a grid of at most 8 x 8, where most of the
    computation is: a convolution at full size would cost more than all others.
    """

    num_classes: int
    width: int = 48
    num_blocks: int = 1
    feature_dim: int = 64
    dropout_rate: float = 0.2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, images: jax.Array, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Computes logits and features.

        Features are linear outputs, few and without a nonlinearity, so that a Gaussian
        with a covariance of full rank can be fitted to some hundred examples.

        Args:
          images: f32[B, H, W, C] in [-1, 1].
          keys: one key per example for dropout, [B]; None turns dropout off.

        Returns:
          Logits f32[B, num_classes] and features f32[B, feature_dim].
        """
        x = conv_maps(images, self.width, self.num_blocks, self.dtype)[-1]
        x = dropout(x.reshape(len(x), -1), keys, self.dropout_rate, index=1)
        features = Dense(self.feature_dim, dtype=self.dtype, name="features")(x)
        h = dropout(nn.gelu(features), keys, self.dropout_rate, index=2)
        logits = Head(self.num_classes, self.dtype, name="logits")(h)
        return logits, features.astype(jnp.float32)
