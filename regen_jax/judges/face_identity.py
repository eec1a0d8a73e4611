"""A network that recognizes a face, for the identity of generated clips."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.loss_output import global_batch
from regen_jax.networks.conv.convnet import ConvNet
from regen_jax.random import fold_keys
from regen_jax.spaces import Array, Record

_SHARPNESS = 10.0
"""By which cosines are multiplied: embeddings of 32 numbers need no more."""


@dataclasses.dataclass(frozen=True)
class FaceIdentity(Judge):
    """Embeds pictures so that frames of a clip are near its own picture.

    Trained on real clips by a contrastive loss in both directions (Radford et al., arXiv
    2103.00020, section 2.3) between the picture and a frame at random, so that mouth,
    lids and pose do not help.

    Attributes:
      source_space: a Record with `picture`.
      clip_space: padded clips of such pictures.
      width: channels of the network.
      dim: of embeddings.
    """

    source_space: Record
    clip_space: Array
    width: int = 32
    dim: int = 32

    def init(self, rng: jax.Array, x: Any, y: Any) -> Variables:
        return self._network.init(rng, self._normalize(x["picture"]))

    def loss(
        self, variables: Variables, keys: Key, x: Any, y: Any, train: bool
    ) -> LossOutput:
        """Computes the symmetric InfoNCE loss in nats, and `top1` of frames."""
        frames = _random_frames(keys, y.values, y.length)
        dropout_keys = fold_keys(keys, 1) if train else None
        pictures_BxD, frames_BxD = (
            self._embed(variables, images, dropout_keys)
            for images in (x["picture"], frames)
        )
        all_pictures_NxD, all_frames_NxD = global_batch((pictures_BxD, frames_BxD))
        positive = _SHARPNESS * jnp.sum(pictures_BxD * frames_BxD, axis=-1)
        by_picture = _SHARPNESS * frames_BxD @ all_pictures_NxD.T
        by_frame = _SHARPNESS * pictures_BxD @ all_frames_NxD.T
        total = sum(jax.nn.logsumexp(v, axis=-1) for v in (by_picture, by_frame))
        is_nearest = positive >= by_picture.max(axis=-1) - 1e-4
        metrics = {"top1": is_nearest.astype(jnp.float32)}
        return LossOutput(total / 2 - positive, metrics)

    def embed(
        self, variables: Variables, images: np.ndarray, batch_size: int = 500
    ) -> np.ndarray:
        """Returns unit vectors f32[N, dim] of images [N, H, W, C]."""
        batches = np.array_split(images, math.ceil(len(images) / batch_size))
        return np.concatenate([self._compiled(variables, batch) for batch in batches])

    @functools.partial(jax.jit, static_argnums=0)
    def _compiled(self, variables: Variables, images: jax.Array) -> jax.Array:
        return self._embed(variables, images, None)

    def _embed(
        self, variables: Variables, images: jax.Array, keys: Key | None
    ) -> jax.Array:
        vectors, _ = self._network.apply(variables, self._normalize(images), keys)
        norm = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
        return vectors / jnp.maximum(norm, 1e-6)

    def _normalize(self, images: jax.Array) -> jax.Array:
        return self.clip_space.normalize(images)

    @property
    def _network(self) -> ConvNet:
        return ConvNet(self.dim, self.width)


def _random_frames(keys: Key, clips: jax.Array, length: jax.Array) -> jax.Array:
    """Returns one frame of each clip [B, T, …], at random before its length i32[B]."""
    unit = jax.vmap(jax.random.uniform)(fold_keys(keys, 0))
    index = jnp.minimum((unit * length).astype(jnp.int32), length - 1)
    return jax.vmap(lambda clip, i: clip[i])(clips, jnp.maximum(index, 0))
