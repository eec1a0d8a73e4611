"""A recognizer of the words of a sound, for the accuracy of generated sounds."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.audio.mel import Mel
from regen_jax.interfaces import Judge, Key, LossOutput, Variables
from regen_jax.networks.conv.convnet import ConvNet
from regen_jax.ranges import Count
from regen_jax.spaces import Array, Tokens

MAX_SHIFT = 4
"""Frames by which training sounds are moved at most."""


@dataclasses.dataclass(frozen=True)
class SoundClassifier(Judge):
    """Classifies sounds by each of their words, from log-mel frames.

    It is trained on real sounds, moved in time at random. Words that a training example
    leaves out do not count.

    Attributes:
      word_space: a word per position, 0 where it is left out.
      wave_space: sounds [N].
      sizes: number of words of each position; their ids follow one another from 1 on.
      sample_rate: Hz.
      width: of the network.
    """

    word_space: Tokens
    wave_space: Array
    sizes: tuple[int, ...]
    sample_rate: int
    width: Count = 48

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self._network.init(rng, self._images(y))

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Computes the sum of the cross-entropies in nats, and `accuracy` of the first.

        Args:
          variables: parameters of the network.
          keys: one key per example, [B].
          x: words i32[B, A].
          y: sounds f32[B, N].
          train: whether augmentation and dropout are used.
        """
        images = self._images(y)
        if train:
            images = shift_frames(keys, images, MAX_SHIFT)
        logits, _ = self._network.apply(variables, images, keys if train else None)
        losses, hits = [], []
        for position, (start, part) in enumerate(self._words(logits)):
            word = x[:, position]
            labels = jnp.maximum(word - start, 0)
            log_probs = jax.nn.log_softmax(part)
            nats = -jnp.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0]
            losses.append(jnp.where(word > 0, nats, 0))
            hits.append(jnp.argmax(part, axis=-1) == labels)
        metrics = {"accuracy": hits[0].astype(jnp.float32)}
        return LossOutput(loss=jnp.sum(jnp.stack(losses), axis=0), metrics=metrics)

    def predict(
        self, variables: Variables, waves: np.ndarray, batch_size: int = 250
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicts words i32[M, A] and features f32[M, D] of sounds [M, N]."""
        starts = range(0, len(waves), batch_size)
        outputs = [
            self._predict(variables, waves[start : start + batch_size])
            for start in starts
        ]
        return tuple(map(np.concatenate, zip(*outputs, strict=True)))

    @functools.partial(jax.jit, static_argnums=0)
    def _predict(
        self, variables: Variables, waves: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        logits, features = self._network.apply(variables, self._images(waves))
        words = [s + jnp.argmax(part, axis=-1) for s, part in self._words(logits)]
        return jnp.stack(words, axis=1), features

    def _words(self, logits: jax.Array) -> list[tuple[int, jax.Array]]:
        """Returns the first id of each position's words, and their logits."""
        ends = list(itertools.accumulate(self.sizes))
        parts = jnp.split(logits, ends[:-1], axis=-1)
        return [(1 + e - n, p) for e, n, p in zip(ends, self.sizes, parts, strict=True)]

    def _images(self, waves: jax.Array) -> jax.Array:
        """Returns log-mel frames as images f32[B, T, num_mels, 1] in [-1, 1]."""
        mel = Mel(self.wave_space, sample_rate=self.sample_rate)
        return mel.output_space.normalize(mel.encode({}, waves))[..., None]

    @property
    def _network(self) -> ConvNet:
        return ConvNet(sum(self.sizes), self.width)


def shift_frames(keys: jax.Array, images: jax.Array, max_shift: int) -> jax.Array:
    """Moves images f32[B, T, F, C] in time by up to `max_shift` frames, one draw each.

    What moves in is -1, silence.
    """
    size = images.shape[1]
    padding = ((0, 0), (max_shift, max_shift), (0, 0), (0, 0))
    padded = jnp.pad(images, padding, constant_values=-1.0)
    starts = jax.vmap(lambda key: jax.random.randint(key, (), 0, 2 * max_shift + 1))(
        keys
    )
    return jax.vmap(
        lambda image, start: jax.lax.dynamic_slice_in_dim(image, start, size)
    )(padded, starts)
