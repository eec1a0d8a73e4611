"""What generators of Arrays by a conditional network share."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.interfaces import Generator
from regen_jax.networks.conditional import ConditionalNetwork, Network
from regen_jax.networks.conditioning.automatic import AutomaticConditioning
from regen_jax.networks.conditioning.interface import Conditioning
from regen_jax.networks.conditioning.spatial import determines_length, target_length
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Padded, Record, Space, Value, mask_padding


@dataclasses.dataclass(frozen=True)
class ArrayGenerator(Generator):
    """A generator of Arrays by a network that a source conditions.

    Attributes:
      source_space: space of the source.
      target_space: space of the target; padded only where the source, or a field of it,
        is padded and time-aligned with the target.
      network: maps an input and a condition to the shape of the target.
      conditioning: how the source enters the network.
    """

    source_space: Space
    target_space: Array
    network: Network = dataclasses.field(default_factory=DiTOptions)
    conditioning: Conditioning = dataclasses.field(
        default_factory=AutomaticConditioning
    )

    sources = (*Generator.sources, Record)
    targets = (Array,)

    def __post_init__(self):
        super().__post_init__()
        source_space, target_space = self.source_space, self.target_space
        timed = determines_length(source_space, target_space)
        varies = isinstance(source_space, Array) and source_space.padded
        if varies and not timed:
            raise ValueError(
                "needs a source of constant length, or one that is time-aligned with "
                f"its target, not {source_space} for {target_space}"
            )
        if target_space.padded and not timed:
            raise ValueError(
                f"needs a target of constant length, not {target_space}, or a source that "
                "is time-aligned with it; for frames from Tokens, make this the generator "
                "of 'duration_aligned'"
            )
        # Raises where network or conditioning do not fit the spaces.
        _ = self.module

    @property
    def module(self) -> ConditionalNetwork:
        width, dtype = self.network.width, jnp.dtype(self.network.dtype)
        spaces = self.source_space, self.target_space
        return ConditionalNetwork(
            self.conditioning.module(*spaces, width, dtype),
            self.network.module(self.target_space),
            width,
            dtype,
        )

    def check_abstracted(self, y_space: Space) -> None:
        self.conditioning.check_abstracted(self.target_space, y_space)

    def to_data_space(self, x: jax.Array, source: Value) -> Value:
        """Maps normalized samples [B, *target.shape] to the space of the target."""
        x = self.target_space.denormalize(x)
        x = jnp.clip(x, self.target_space.low, self.target_space.high)
        if not self.target_space.padded:
            return x
        length = target_length(self.source_space, self.target_space, source)
        return Padded(mask_padding(x, length), length)
