"""Recognizes which digits a clip shows and how each moves, to judge generated clips."""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.modalities.video.captions import MOTIONS, NUM_DIGITS, parts_of
from regen_jax.networks.conv.convnet import conv_maps
from regen_jax.networks.layers import Dense
from regen_jax.networks.linear import Head
from regen_jax.spaces import Array, Tokens

_NOISE = 0.1
"""Deviation of the noise on training clips in [-1, 1]: generated ones are less clean."""
_STRIDE = 2
"""Of the frames that are read: half of them say as much, at half the computation."""


@dataclasses.dataclass(frozen=True)
class DigitTracker(Judge):
    """Classifies the digits of clips, and the motion of each by its track alone.

    A map of evidence per digit and frame gives the presence of the digit by its sum, and
    its place by its mean. One network reads the motion from the places in all frames, for
    every digit: it cannot know which digits move how in the clips that it was trained on,
    and so judges combinations that these lack.

    Attributes:
      caption_space: captions of `modalities.video.captions`.
      clip_space: clips [T, H, W, C].
      width: channels of the maps.
    """

    caption_space: Tokens
    clip_space: Array
    width: int = 48

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self._network.init(rng, self.clip_space.normalize(y))

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Computes the cross-entropies of presence and motion in nats.

        Metrics are `digit_accuracy`, the fraction of the digits of a clip that are seen in
        it, and `motion_accuracy`, that of those whose motion is right.

        Args:
          variables: parameters of the network.
          keys: one key per example, [B].
          x: captions i32[B, L].
          y: clips [B, T, H, W, C].
          train: whether noise is added.
        """
        clips = self.clip_space.normalize(y)
        if train:
            noise = jax.vmap(lambda key: jax.random.normal(key, clips.shape[1:]))
            clips = clips + _NOISE * noise(keys)
        presence_BxD, motions_BxDxM, _ = self._network.apply(variables, clips)
        digits_BxP, true_motions_BxP = parts_of(x)
        is_part = (digits_BxP >= 0).astype(jnp.float32)
        one_hot_BxPxD = jax.nn.one_hot(digits_BxP, NUM_DIGITS)
        is_present_BxD = one_hot_BxPxD.sum(axis=1)
        presence_loss = jnp.sum(
            jax.nn.softplus(presence_BxD) - is_present_BxD * presence_BxD, axis=-1
        )
        log_probs = jax.nn.log_softmax(
            jnp.einsum("bpd,bdm->bpm", one_hot_BxPxD, motions_BxDxM)
        )
        motion_loss = -jnp.take_along_axis(
            log_probs, jnp.maximum(true_motions_BxP, 0)[..., None], axis=-1
        )[..., 0]
        number = is_part.sum(axis=-1)

        def mean(values: jax.Array) -> jax.Array:
            return jnp.sum(values * is_part, axis=-1) / number

        presence_BxP = jnp.einsum("bpd,bd->bp", one_hot_BxPxD, presence_BxD)
        is_right = jnp.argmax(log_probs, axis=-1) == true_motions_BxP
        return LossOutput(
            loss=presence_loss + mean(motion_loss),
            metrics={
                "digit_accuracy": mean(presence_BxP > 0),
                "motion_accuracy": mean(is_right),
            },
        )

    def predict(
        self, variables: Variables, clips: np.ndarray, batch_size: int = 100
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predicts presence, motions and features of clips [N, T, H, W, C].

        Returns:
          Logits f32[N, 10] of the presence of each digit, the likeliest motion i32[N, 10]
          of each, and features f32[N, F].
        """
        batches = np.array_split(clips, math.ceil(len(clips) / batch_size))
        outputs = [self._predict(variables, batch) for batch in batches]
        presence, motions, features = zip(*outputs, strict=True)
        return (
            np.concatenate(presence),
            np.concatenate(motions),
            np.concatenate(features),
        )

    @functools.partial(jax.jit, static_argnums=0)
    def _predict(
        self, variables: Variables, clips: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        presence, motions, features = self._network.apply(
            variables, self.clip_space.normalize(clips)
        )
        return presence, jnp.argmax(motions, axis=-1), features

    @property
    def _network(self) -> "Tracker":
        return Tracker(self.width)


def top_parts(
    presence: np.ndarray, motions: np.ndarray, numbers: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the digits that are most present, and their motions.

    Args:
      presence: f32[N, 10].
      motions: i32[N, 10].
      numbers: i64[N], how many digits each clip should show.
      most: the largest number.

    Returns:
      Digits and motions i64[N, most], -1 after the number of each clip.
    """
    digits = np.argsort(-presence, axis=1, kind="stable")[:, :most]
    moved = np.take_along_axis(motions, digits, axis=1)
    is_part = np.arange(most) < np.asarray(numbers)[:, None]
    return np.where(is_part, digits, -1), np.where(is_part, moved, -1)


class Tracker(nn.Module):
    """Maps of evidence for each digit in each frame, and what follows from them."""

    width: int
    num_blocks: int = 1
    motion_dim: int = 32

    @nn.compact
    def __call__(
        self, clips_BxTxHxWxC: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Computes logits and features.

        Features are what the heads of the network read: the layer before the last of the
        motion, and the maps where the digits are, averaged over frames. Both are averaged
        over digits by their presence.

        Args:
          clips_BxTxHxWxC: clips in [-1, 1].

        Returns:
          Logits of presence f32[B, 10], of motions f32[B, 10, M], and features f32[B, F].
        """
        read_BxTxHxWxC = clips_BxTxHxWxC[:, ::_STRIDE]
        batch, frames, *shape = read_BxTxHxWxC.shape
        images = read_BxTxHxWxC.reshape(batch * frames, *shape)
        maps = conv_maps(images, self.width, self.num_blocks, jnp.dtype("float32"))[-1]
        height, width = maps.shape[1:3]
        x_BxTxNxW = maps.reshape(batch, frames, height * width, self.width)
        evidence_BxTxNxD = Head(NUM_DIGITS, name="evidence")(x_BxTxNxW)
        total_BxTxD = jax.nn.logsumexp(evidence_BxTxNxD, axis=2)
        presence_BxD = total_BxTxD.mean(axis=1) - math.log(height * width)

        grid = jnp.stack(jnp.mgrid[:height, :width], axis=-1).reshape(-1, 2)
        cells_Nx2 = 2 * grid / (jnp.array([height, width]) - 1) - 1
        weights = jax.nn.softmax(evidence_BxTxNxD, axis=2)
        track_BxDxTx2 = jnp.einsum("btnd,nc->bdtc", weights, cells_Nx2)
        track = track_BxDxTx2.reshape(batch, NUM_DIGITS, -1)
        h = nn.gelu(Dense(2 * self.motion_dim, name="track")(track))
        motion_BxDxF = Dense(self.motion_dim, name="motion")(h)
        motions = Head(len(MOTIONS), name="motions")(nn.gelu(motion_BxDxF))

        share = jax.nn.softmax(presence_BxD, axis=-1)
        motion_BxF = jnp.einsum("bd,bdf->bf", share, motion_BxDxF)
        look_BxTxW = jnp.einsum("bd,btnd,btnw->btw", share, weights, x_BxTxNxW)
        features = jnp.concatenate([motion_BxF, look_BxTxW.mean(axis=1)], axis=-1)
        return presence_BxD, motions, features
