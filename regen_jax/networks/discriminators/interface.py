"""What a discriminator is: a network that tells real samples from generated ones."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax

from regen_jax.spaces import Space, Value

Params = Mapping[str, Any]


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


class Discriminator(abc.ABC):
    """One network or several that judge samples of a space.

    A subclass is a frozen dataclass of options.
    """

    registry: ClassVar[str] = "regen_jax.networks.discriminators"

    @abc.abstractmethod
    def check(self, space: Space) -> None:
        """Raises a ValueError if the networks cannot judge samples of the space."""

    @abc.abstractmethod
    def init(self, rng: jax.Array, space: Space) -> Params:
        """Returns parameters at the start of training."""

    @abc.abstractmethod
    def judge(self, params: Params, sample: Value) -> list[Judgement]:
        """Returns what each network makes of samples [B, ...], real or generated."""
