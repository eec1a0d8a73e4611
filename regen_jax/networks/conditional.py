"""A network of arrays under a condition: a source, and a time where there is one."""

import abc
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from regen_jax.networks.layers import Dense
from regen_jax.networks.sinusoids import sinusoids
from regen_jax.ranges import Checked, Dtype
from regen_jax.spaces import Array, Value

TIME_FEATURES = 256


class Network(Checked, abc.ABC):
    """Options of a network of arrays; subclasses are frozen dataclasses.

    Attributes:
      width: size of the vectors and tokens through which a source enters.
      dtype: of the computation.
    """

    registry: ClassVar[str] = "regen_jax.networks"

    width: int
    dtype: Dtype

    @abc.abstractmethod
    def module(self, target_space: Array) -> nn.Module:
        """Returns a Linen module from (x, condition, keys) to f32[B, *target.shape].

        The module takes x [B, *target axes, any channels], or None where the condition
        alone says what to generate, a `Condition` whose channels are in x already, and a
        key per example for dropout, or None outside training.

        Raises:
          ValueError: there is no such network of that shape.
        """


class ConditionalNetwork(nn.Module):
    """Joins the parts: conditioning, an embedding of time, and a network.

    Attributes:
      conditioning: maps (source, drop) to a `Condition`.
      network: maps (x, condition, keys) to f32[B, *target.shape].
      width: size of the vector that modulates every layer.
      dtype: compute dtype.
    """

    conditioning: nn.Module
    network: nn.Module
    width: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self,
        source: Value,
        drop: jax.Array | None = None,
        x_BxAxC: jax.Array | None = None,
        time_B: jax.Array | None = None,
        keys: jax.Array | None = None,
    ) -> jax.Array:
        """Returns f32[B, *target.shape], zero at the start of training and at padding.

        Args:
          source: [B, *source.shape].
          drop: bool[B], true where the source is withheld; None for nowhere.
          x_BxAxC: the noised target; None where there is none.
          time_B: f32[B], such as times in [0, 1].
          keys: a key per example for dropout; None outside training.
        """
        condition = self.conditioning(source, drop)
        if time_B is not None:
            # In thousandths, so that the shortest wavelengths tell nearby times apart.
            y = sinusoids(1000 * time_B, TIME_FEATURES).astype(self.dtype)
            y = Dense(self.width, dtype=self.dtype, name="time_in")(y)
            y = Dense(self.width, dtype=self.dtype, name="time_out")(nn.silu(y))
            condition = condition._replace(vector=condition.vector + y)
        inputs = [x for x in (x_BxAxC, condition.channels) if x is not None]
        x_BxAxC = jnp.concatenate(inputs, axis=-1) if inputs else None
        if condition.frame_mask is None:
            return self.network(x_BxAxC, condition, keys)
        x_BxAxC = _mask_frames(x_BxAxC, condition.frame_mask)
        y = self.network(x_BxAxC, condition, keys)
        return _mask_frames(y, condition.frame_mask)


def _mask_frames(x_BxTxC: jax.Array, mask_BxT: jax.Array) -> jax.Array:
    """Returns x [B, T, ..., C] with 0 where the mask is false."""
    mask = mask_BxT.reshape(*mask_BxT.shape, *[1] * (x_BxTxC.ndim - 2))
    return jnp.where(mask, x_BxTxC, 0)
