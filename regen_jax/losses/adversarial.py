"""Adversarial loss: hinges of discriminators, and the distance of their features."""

import dataclasses
from collections.abc import Iterable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.losses.interface import LossTerm, Params, TermLoss
from regen_jax.networks.discriminators.interface import Discriminator, Judgement
from regen_jax.networks.discriminators.spectrum import Spectrum
from regen_jax.ranges import NonNegative
from regen_jax.spaces import Padded, Space, Value


@dataclasses.dataclass(frozen=True)
class Adversarial(LossTerm):
    """What fools the discriminators, and how far their features are from real ones.

    A model and the discriminators train in the same step: each side gets the gradient of
    its own loss alone.

    Attributes:
      discriminator: judges samples.
      generator: loss of generated samples by their logits f: `hinge` is max(0, 1 - f),
        as of Vocos, and `linear` is -f, as of VQGAN.
      feature_weight: of the distance of features, beside the loss by logits.
      adaptive: whether the loss is also scaled so that its gradient at the last layer
        of the model is as long as that of the other terms, see `adaptive_weight`.
    """

    discriminator: Discriminator = dataclasses.field(default_factory=Spectrum)
    generator: Literal["hinge", "linear"] = "hinge"
    feature_weight: NonNegative = 1.0
    adaptive: bool = False

    def check(self, space: Space) -> None:
        self.discriminator.check(space)

    def init(self, rng: jax.Array, space: Space) -> Params:
        return self.discriminator.init(rng, space)

    def __call__(
        self, params: Params, space: Space, prediction: jax.Array, target: Value
    ) -> TermLoss:
        judge = self.discriminator.judge

        def generated(values: jax.Array) -> Value:
            padded = isinstance(target, Padded)
            return Padded(values, target.length) if padded else values

        real = judge(params, target)
        fake = judge(params, generated(jax.lax.stop_gradient(prediction)))
        # The model gets no gradient through `real`, nor do the discriminators here.
        fooling = judge(jax.lax.stop_gradient(params), generated(prediction))
        metrics = {
            "generator_loss": generator_loss(fooling, self.generator),
            "feature_loss": feature_loss(real, fooling),
            "discriminator_loss": discriminator_loss(real, fake),
        }
        loss = metrics["generator_loss"] + self.feature_weight * metrics["feature_loss"]
        return TermLoss(loss, metrics, metrics["discriminator_loss"])


def discriminator_loss(real: list[Judgement], fake: list[Judgement]) -> jax.Array:
    """Returns the hinge loss f32[B] of discriminators.

    Lim and Ye, "Geometric GAN" (arXiv 1705.02894), equation 3.
    """
    return _mean(
        _over_frames(nn.relu(1 - r.logits) + nn.relu(1 + f.logits), r.mask)
        for r, f in zip(real, fake, strict=True)
    )


_GENERATOR_LOSSES = {"hinge": lambda f: nn.relu(1 - f), "linear": lambda f: -f}


def generator_loss(fake: list[Judgement], kind: str = "hinge") -> jax.Array:
    """Returns the loss f32[B] of samples that are judged to be generated.

    `hinge`: Siuzdak, "Vocos" (arXiv 2306.00814), section 3.3. `linear`: Lim and Ye,
    "Geometric GAN" (arXiv 1705.02894), equation 4.
    """
    loss = _GENERATOR_LOSSES[kind]
    return _mean(_over_frames(loss(f.logits), f.mask) for f in fake)


def feature_loss(real: list[Judgement], fake: list[Judgement]) -> jax.Array:
    """Returns the mean absolute difference of features, f32[B].

    Kumar et al., "MelGAN" (arXiv 1910.06711), equation 3. No gradient reaches `real`.
    """
    return _mean(
        _over_frames(jnp.abs(jax.lax.stop_gradient(x) - y), r.mask)
        for r, f in zip(real, fake, strict=True)
        for x, y in zip(r.features, f.features, strict=True)
    )


def _over_frames(x: jax.Array, mask_BxT: jax.Array) -> jax.Array:
    """Means f32[B] of [B, T, ...] over the positions in the mask."""
    x = x.reshape(*mask_BxT.shape, -1).mean(axis=-1)
    number = jnp.maximum(mask_BxT.sum(axis=1), 1)
    return jnp.where(mask_BxT, x, 0).sum(axis=1) / number


def _mean(terms: Iterable[jax.Array]) -> jax.Array:
    terms = list(terms)
    return sum(terms) / len(terms)
