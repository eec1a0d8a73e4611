"""An image classifier, for the accuracy and Fréchet distance of generated images."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.modalities.image.affine import random_affine
from regen_jax.networks.conv.convnet import ConvNet
from regen_jax.spaces import Array, Category


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
    def _network(self) -> ConvNet:
        return ConvNet(self.label_space.size)
