"""Perceptual loss: the distance of what the layers of a trained network make of images.

Zhang, Isola, Efros, Shechtman and Wang, "The Unreasonable Effectiveness of Deep Features
as a Perceptual Metric" (arXiv 1801.03924), equation 1, where every channel weighs 1.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from regen_jax.errors import UserError
from regen_jax.losses.interface import LossTerm, Params, TermLoss, Variables
from regen_jax.networks.features.convnet import ConvNetFeatures
from regen_jax.networks.features.interface import FeatureNetwork
from regen_jax.networks.features.weights import read_weights, select_weights
from regen_jax.networks.frames import (
    fold_frames,
    frame_space,
    is_clip,
    unfold_frames,
)
from regen_jax.spaces import Array, Space


@dataclasses.dataclass(frozen=True)
class Perceptual(LossTerm):
    """Squared distance of unit-length features, summed over the layers of a network.

    Of clips it is the mean over their frames, each an image by itself.

    The network stays as it is. It is kept with the variables of the stage that it helps
    to train, which then needs neither the other stage nor the file.

    Attributes:
      network: whose layers are compared.
      stage: an earlier stage that trained the network, such as a judge. With
        `init_from` it may be that of another run.
      weights: a `.npz` or `.msgpack` file of the network's parameters by name, in place
        of those of `stage`.
    """

    network: FeatureNetwork = dataclasses.field(default_factory=ConvNetFeatures)
    stage: str = "judge"
    weights: str = ""

    is_pretrained = True

    def check(self, space: Space) -> None:
        self.network.check(frame_space(space))

    def init(self, rng: jax.Array, space: Space) -> Params:
        return self.network.init(rng, frame_space(space))

    def pretrained(self, space: Space, stages: Mapping[str, Variables]) -> Params:
        where = f"loss '{self.name}'"
        expected = jax.eval_shape(lambda key: self.init(key, space), jax.random.key(0))
        if self.weights:
            params = read_weights(self.weights, f"{where}: weights")
            return select_weights(expected, params, f"{where}: {self.weights}")
        if self.stage not in stages:
            known = ", ".join(stages) or "none"
            raise UserError(
                f"{where} reads stage {self.stage!r}, but earlier stages are {known}: "
                "name one of them as stage, or a file as weights"
            )
        params = stages[self.stage]["params"]
        return select_weights(expected, params, f"{where}: stage {self.stage!r}")

    def __call__(
        self, params: Params, space: Array, prediction: jax.Array, target: jax.Array
    ) -> TermLoss:
        batch_size = prediction.shape[0]
        if is_clip(space):
            prediction, target = fold_frames(prediction), fold_frames(target)
        pairs = zip(
            self.network.features(params, prediction),
            self.network.features(params, target),
            strict=True,
        )
        loss = sum(feature_distance(*pair) for pair in pairs)
        if is_clip(space):
            loss = unfold_frames(loss, batch_size).mean(axis=1)
        return TermLoss(loss, {"perceptual_loss": loss})


def feature_distance(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Returns the mean squared distance f32[B] of features [B, ..., C] of unit length."""
    difference = _unit(prediction) - _unit(target)
    square = jnp.square(difference).sum(axis=-1)
    return square.mean(axis=tuple(range(1, square.ndim)))


def _unit(features: jax.Array) -> jax.Array:
    features = features.astype(jnp.float32)
    square = jnp.square(features).sum(axis=-1, keepdims=True)
    return features * jax.lax.rsqrt(square + 1e-10)
