"""A contrastive text–image network, for the captions and features of generated images."""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.judges.image_classifier import ConvNet
from regen_jax.loss_output import global_batch
from regen_jax.modalities.image.affine import random_affine
from regen_jax.networks.embeddings import SourceEmbedding, source_mask
from regen_jax.networks.layers import Dense, Module
from regen_jax.networks.linear import Head
from regen_jax.spaces import Array, Tokens

_MAX_SCALE = 100.0
_ROUNDING = 1e-4


@dataclasses.dataclass(frozen=True)
class Contrastive(Judge):
    """Embeds captions and images so that those of a pair are near each other.

    Radford et al., "Learning Transferable Visual Models From Natural Language
    Supervision" (arXiv 2103.00020), section 2.3, with small encoders.

    Attributes:
      caption_space: captions in pieces, padded.
      image_space: images [H, W, C].
      width: channels of the image encoder, and half the width of the caption encoder.
      dim: of embeddings.
    """

    caption_space: Tokens
    image_space: Array
    width: int = 48
    dim: int = 64

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self._network.init(rng, x, self.image_space.normalize(y))

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Computes the symmetric InfoNCE loss in nats, and `top1`.

        Each caption is classified among all of the global batch by its image, and each
        image by its caption: the loss depends on the size of the batch. `top1` is the
        fraction of images whose own caption is the nearest.

        Args:
          variables: parameters of the network.
          keys: one key per example, [B].
          x: captions i32[B, L].
          y: images [B, H, W, C].
          train: whether augmentation and dropout are used.
        """
        images = self.image_space.normalize(y)
        if train:
            images = random_affine(keys, images, rotation=0.1, scale=0.1, shear=0.1)
        texts_BxD, images_BxD, scale = self._network.apply(
            variables, x, images, keys if train else None
        )
        all_texts_NxD, all_images_NxD = global_batch((texts_BxD, images_BxD))
        positives = scale * jnp.sum(texts_BxD * images_BxD, axis=-1)
        text_logits_BxN = scale * images_BxD @ all_texts_NxD.T
        image_logits_BxN = scale * texts_BxD @ all_images_NxD.T
        normalizers = jax.nn.logsumexp(text_logits_BxN, axis=-1) + jax.nn.logsumexp(
            image_logits_BxN, axis=-1
        )
        is_nearest = positives >= text_logits_BxN.max(axis=-1) - _ROUNDING
        return LossOutput(
            loss=normalizers / 2 - positives,
            metrics={"top1": is_nearest.astype(jnp.float32)},
        )

    def embed_captions(
        self, variables: Variables, captions: np.ndarray, batch_size: int = 1000
    ) -> np.ndarray:
        """Returns unit vectors f32[N, dim] of captions i32[N, L]."""
        batches = _split(captions, batch_size)
        return np.concatenate([self._embed_captions(variables, b) for b in batches])

    def embed_images(
        self, variables: Variables, images: np.ndarray, batch_size: int = 500
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns unit vectors f32[N, dim] and features f32[N, F] of images [N, …]."""
        batches = _split(images, batch_size)
        outputs = [self._embed_images(variables, batch) for batch in batches]
        embeddings, features = zip(*outputs, strict=True)
        return np.concatenate(embeddings), np.concatenate(features)

    @functools.partial(jax.jit, static_argnums=0)
    def _embed_captions(self, variables: Variables, captions: jax.Array) -> jax.Array:
        return self._network.apply(variables, captions, method="embed_captions")

    @functools.partial(jax.jit, static_argnums=0)
    def _embed_images(
        self, variables: Variables, images: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        normalized = self.image_space.normalize(images)
        return self._network.apply(variables, normalized, method="embed_images")

    @property
    def _network(self) -> "TwoTowers":
        return TwoTowers(self.caption_space, self.width, self.dim)


class TwoTowers(Module):
    """Encoders of captions and of images to unit vectors of one space."""

    caption_space: Tokens
    width: int
    dim: int

    def setup(self):
        self.embedding = SourceEmbedding(self.caption_space, 2 * self.width)
        self.piece_layer = Dense(2 * self.width)
        self.caption_head = Head(self.dim)
        self.image_encoder = ConvNet(self.dim, self.width)
        self.scale = self.param(
            "scale", nn.initializers.constant(math.log(1 / 0.07)), ()
        )

    def __call__(
        self, captions: jax.Array, images: jax.Array, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns f32[B, dim] of captions and of images, and the scale of products."""
        scale = jnp.minimum(jnp.exp(self.scale), _MAX_SCALE)
        embeddings, _ = self.embed_images(images, keys)
        return self.embed_captions(captions), embeddings, scale

    def embed_captions(self, captions: jax.Array) -> jax.Array:
        """Embeds captions i32[B, L] by a mean over their pieces, each at its position."""
        x_BxLxW = self.embedding(captions, jnp.zeros(len(captions), bool))
        x_BxLxW = x_BxLxW + nn.gelu(self.piece_layer(x_BxLxW))
        mask_BxLx1 = source_mask(self.caption_space, captions)[..., None]
        total_BxW = jnp.where(mask_BxLx1, x_BxLxW, 0).sum(axis=1)
        return _unit(
            self.caption_head(total_BxW / jnp.maximum(mask_BxLx1.sum(axis=1), 1))
        )

    def embed_images(
        self, images: jax.Array, keys: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Embeds images f32[B, H, W, C] in [-1, 1]; returns features f32[B, F] too."""
        embeddings, features = self.image_encoder(images, keys)
        return _unit(embeddings), features


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


def _split(array: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return np.array_split(array, math.ceil(len(array) / batch_size))
