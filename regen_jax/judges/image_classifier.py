"""An image classifier, for the accuracy and Fréchet distance of generated images."""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.modalities.image.affine import random_affine
from regen_jax.networks.embeddings import dropout
from regen_jax.networks.linear import Head
from regen_jax.spaces import Array, Category

_GRID = 8


@dataclasses.dataclass(frozen=True)
class ImageClassifier(Judge):
    """Classifies images; it is trained on real images with random affine augmentation.

    Attributes:
      label_space: classes.
      image_space: images [H, W, C].
    """

    label_space: Category
    image_space: Array

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self._network.init(rng, self.image_space.normalize(y))

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Computes the cross-entropy in nats, and `accuracy`.

        Args:
          variables: parameters of the network.
          keys: one key per example, [B].
          x: classes i32[B].
          y: images [B, H, W, C].
          train: whether augmentation and dropout are used.
        """
        images = self.image_space.normalize(y)
        if train:
            images = random_affine(keys, images)
        logits, _ = self._network.apply(variables, images, keys if train else None)
        log_probs = jax.nn.log_softmax(logits)
        is_correct = (jnp.argmax(logits, axis=-1) == x).astype(jnp.float32)
        return LossOutput(
            loss=-jnp.take_along_axis(log_probs, x[:, None], axis=-1)[:, 0],
            metrics={"accuracy": is_correct},
        )

    def predict(
        self, variables: Variables, images: np.ndarray, batch_size: int = 500
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicts classes i32[N] and features f32[N, D] of images [N, H, W, C]."""
        num_batches = math.ceil(len(images) / batch_size)
        batches = np.array_split(images, num_batches)
        predictions = [self._predict(variables, batch) for batch in batches]
        classes, features = zip(*predictions, strict=True)
        return np.concatenate(classes), np.concatenate(features)

    @functools.partial(jax.jit, static_argnums=0)
    def _predict(
        self, variables: Variables, images: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        normalized = self.image_space.normalize(images)
        logits, features = self._network.apply(variables, normalized)
        return jnp.argmax(logits, axis=-1), features

    @property
    def _network(self) -> "ConvNet":
        return ConvNet(self.label_space.size)


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

        def conv(x, width, kernel=3, stride=1):
            layer = nn.Conv(
                width,
                (kernel, kernel),
                (stride, stride),
                kernel_init=nn.initializers.he_normal(),
                dtype=self.dtype,
            )
            return nn.gelu(layer(x))

        num_levels = max(2, math.ceil(math.log2(max(images.shape[1:3]) / _GRID)))
        x = conv(images, self.width // 2, kernel=5, stride=2)
        for _ in range(num_levels - 1):
            x = conv(x, self.width, stride=2)
        for _ in range(self.num_blocks):
            x = x + conv(x, self.width)
        x = dropout(x.reshape(len(x), -1), keys, self.dropout_rate, index=1)
        features = nn.Dense(self.feature_dim, dtype=self.dtype, name="features")(x)
        h = dropout(nn.gelu(features), keys, self.dropout_rate, index=2)
        logits = Head(self.num_classes, self.dtype, name="logits")(h)
        return logits, features.astype(jnp.float32)
