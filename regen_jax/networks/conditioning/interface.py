"""What conditioning gives a network, and the seam of its kinds."""

import abc
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.ranges import Checked
from regen_jax.spaces import Array, Space, Value


class Condition(NamedTuple):
    """What a network is given of a source, by the mechanism through which it enters.

    Attributes:
      vector: [B, W]; modulates every layer.
      tokens: [B, S, W]; attended to.
      token_mask: bool[B, S], false at padding; None where no token is padding.
      channels: [B, *axes, C] over the axes of the target; joins the network's input.
      frame_mask: bool[B, T], false at the padding of the target; None where targets have
        a constant length.
    """

    vector: jax.Array
    tokens: jax.Array | None = None
    token_mask: jax.Array | None = None
    channels: jax.Array | None = None
    frame_mask: jax.Array | None = None


class Estimate(NamedTuple):
    """What a source says of the normalized target.

    Attributes:
      mean: f32[B, *target.shape].
      scale: of the differences of targets from it, for those of an example to have a
        scale near 1; broadcasts to `mean`.
    """

    mean: jax.Array
    scale: jax.Array | float = 1.0


class Conditioning(Checked, abc.ABC):
    """A way for a source to enter a network; subclasses are frozen dataclasses."""

    registry: ClassVar[str] = "regen_jax.networks.conditioning"

    @abc.abstractmethod
    def module(
        self, source_space: Space, target_space: Array, width: int, dtype: jnp.dtype
    ) -> nn.Module:
        """Returns a Linen module that maps (source, drop) to a `Condition`.

        The module takes a source [B, *source_space.shape] and `drop`, bool[B], true where
        the source is withheld, or None where no example of a model ever drops it.

        Args:
          source_space: space of the source.
          target_space: space of what the network generates.
          width: W, the size of vectors and tokens.
          dtype: compute dtype.

        Raises:
          ValueError: sources of that space cannot enter in this way.
        """

    def check_abstracted(self, target_space: Array, y_space: Space) -> None:
        """Checks options that depend on the space which the target of a prior abstracts.

        Raises:
          ValueError: an option does not fit.
        """
        return

    def estimate(
        self, source_space: Space, target_space: Array, source: Value
    ) -> Estimate | None:
        """Returns what a source says of the target, in whose units it is; else None.

        Regression predicts the difference from it.
        """
        return None
