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
from regen_jax.random import fold_keys
from regen_jax.ranges import Count, Natural
from regen_jax.spaces import Array, Tokens

MAX_SHIFT = 4
"""Frames by which training sounds are moved at most."""
_MIN_WEIGHT = 1e-6
"""Of an example without the word, so that a batch of such has a finite accuracy."""
# Streams of an example's key; dropout takes the first ones.
_TIME, _BAND = 10, 11


@dataclasses.dataclass(frozen=True)
class SoundClassifier(Judge):
    """Classifies sounds by some of their words, from log-mel frames.

    It is trained on real sounds, moved in time at random. Words that a training example
    leaves out do not count.

    Attributes:
      word_space: a word per position, 0 where it is left out.
      wave_space: sounds [N].
      positions: those that are recognized, each with the ids of its words.
      sample_rate: Hz.
      width: of the network.
      max_band_shift: mel bands by which training sounds are moved at most, so that the
        words are recognized in voices that training has not heard them in.
      names: of the positions, for their metrics; empty for a single one.
    """

    word_space: Tokens
    wave_space: Array
    positions: tuple[tuple[int, range], ...]
    sample_rate: int
    width: Count = 48
    max_band_shift: Natural = 0
    names: tuple[str, ...] = ()

    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        return self._network.init(rng, self._images(y))

    def loss(
        self, variables: Variables, keys: Key, x: jax.Array, y: jax.Array, train: bool
    ) -> LossOutput:
        """Computes the sum of the cross-entropies in nats, and the accuracy of each word.

        Metrics are `<name>_accuracy` of each position by `names`, over the examples that
        have that word; `accuracy` of a single one without a name.

        Args:
          variables: parameters of the network.
          keys: one key per example, [B].
          x: words i32[B, A].
          y: sounds f32[B, N].
          train: whether augmentation and dropout are used.
        """
        images = self._images(y)
        if train:
            images = self._augment(keys, images)
        logits, _ = self._network.apply(variables, images, keys if train else None)
        losses, metrics, weights = [], {}, {}
        for (position, ids), name, part in zip(
            self.positions, self.names or ("",), self._split(logits), strict=True
        ):
            is_present = x[:, position] > 0
            labels = jnp.maximum(x[:, position] - ids.start, 0)
            log_probs = jax.nn.log_softmax(part)
            nats = -jnp.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0]
            losses.append(jnp.where(is_present, nats, 0))
            metric = f"{name}_accuracy" if name else "accuracy"
            is_right = is_present & (jnp.argmax(part, axis=-1) == labels)
            metrics[metric] = is_right.astype(jnp.float32)
            weights[metric] = jnp.maximum(is_present.astype(jnp.float32), _MIN_WEIGHT)
        loss = jnp.sum(jnp.stack(losses), axis=0)
        return LossOutput(loss=loss, metrics=metrics, weights=weights)

    def predict(
        self, variables: Variables, waves: np.ndarray, batch_size: int = 250
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predicts words i32[M, P] and features f32[M, D] of sounds [M, N]."""
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
        words = [
            ids.start + jnp.argmax(part, axis=-1)
            for (_, ids), part in zip(self.positions, self._split(logits), strict=True)
        ]
        return jnp.stack(words, axis=1), features

    def _split(self, logits: jax.Array) -> list[jax.Array]:
        """Returns the logits of the words of each position."""
        ends = itertools.accumulate(len(ids) for _, ids in self.positions)
        return jnp.split(logits, list(ends)[:-1], axis=-1)

    def _augment(self, keys: Key, images: jax.Array) -> jax.Array:
        images = shift(fold_keys(keys, _TIME), images, MAX_SHIFT, axis=1)
        if self.max_band_shift:
            images = shift(fold_keys(keys, _BAND), images, self.max_band_shift, axis=2)
        return images

    def _images(self, waves: jax.Array) -> jax.Array:
        """Returns log-mel frames as images f32[B, T, num_mels, 1] in [-1, 1]."""
        mel = Mel(self.wave_space, sample_rate=self.sample_rate)
        return mel.output_space.normalize(mel.encode({}, waves))[..., None]

    @property
    def _network(self) -> ConvNet:
        size = sum(len(ids) for _, ids in self.positions)
        return ConvNet(size, self.width)


def shift(keys: Key, images: jax.Array, max_shift: int, axis: int) -> jax.Array:
    """Moves images f32[B, T, F, C] along an axis by up to `max_shift`, one draw each.

    What moves in is -1, silence.
    """
    padding = [(0, 0)] * images.ndim
    padding[axis] = (max_shift, max_shift)
    padded = jnp.pad(images, padding, constant_values=-1.0)

    def cut(key: jax.Array, image: jax.Array) -> jax.Array:
        start = jax.random.randint(key, (), 0, 2 * max_shift + 1)
        size = images.shape[axis]
        return jax.lax.dynamic_slice_in_dim(image, start, size, axis - 1)

    return jax.vmap(cut)(keys, padded)
