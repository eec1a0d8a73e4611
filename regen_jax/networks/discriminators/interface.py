"""What a discriminator is: a network that tells real samples from generated ones."""

import abc
from typing import ClassVar, NamedTuple

import jax

from regen_jax.networks.sample_network import Params, SampleNetwork
from regen_jax.spaces import Value


class Judgement(NamedTuple):
    """The output of one network for a batch.

    Attributes:
      logits: f32[B, T, ...] of parts of a sample, high where they seem real.
      features: f32[B, T, ...] of each layer.
      mask: bool[B, T], false in padding.
    """

    logits: jax.Array
    features: list[jax.Array]
    mask: jax.Array


class Discriminator(SampleNetwork):
    """One network or several that judge samples of a space."""

    registry: ClassVar[str] = "regen_jax.networks.discriminators"

    @abc.abstractmethod
    def judge(self, params: Params, sample: Value) -> list[Judgement]:
        """Returns what each network makes of samples [B, ...], real or generated."""
