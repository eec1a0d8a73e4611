"""What a bottleneck is: the latents of an autoencoder to Y′ and back, in float32."""

import abc
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp

from regen_jax.ranges import Checked
from regen_jax.spaces import Array, Tokens, Value

State = Mapping[str, jax.Array]
"""What a bottleneck keeps between steps, such as a codebook; parameters are not in it."""
Mask = jax.Array | None
"""bool[B, *latent_shape], true where a position is not padding; None without padding."""
Statistics = dict[str, jax.Array]
"""Of the latents of a step, by name."""


@flax.struct.dataclass
class BottleneckOutput:
    """Latents after a bottleneck, in training or evaluation.

    Attributes:
      codes: [B, *latent_shape, ...], as `Bottleneck.encode` gives them.
      values: f32[B, *latent_shape, value_dim] for the decoder, with a gradient to the
        latents.
      loss: f32[B], the bottleneck's own term.
      sums: statistics summed over examples, for `Bottleneck.update`.
      per_example: statistics kept per example, for `Bottleneck.update`.
      metrics: f32[B] each, by name, which are logged.
    """

    codes: jax.Array
    values: jax.Array
    loss: jax.Array
    sums: Statistics
    per_example: Statistics
    metrics: Statistics = flax.struct.field(default_factory=dict)


class Bottleneck(Checked, abc.ABC):
    """Latents to codes, which Y′ is made of, and back.

    A subclass is a frozen dataclass of options. Its state is an argument of pure
    functions. Latents are [B, *latent_shape, D] of any float dtype, and all arithmetic is
    in float32. Losses and statistics leave padding out, and what stands there means
    nothing.
    """

    registry: ClassVar[str] = "regen_jax.abstractions.bottlenecks"
    collection: ClassVar[str]
    """The collection of variables that holds the state."""

    @property
    @abc.abstractmethod
    def latent_dim(self) -> int:
        """Channels D of a latent, as the encoder makes it."""

    @property
    def value_dim(self) -> int:
        """Channels of a value, as the decoder reads it; by default those of a latent."""
        return self.latent_dim

    @abc.abstractmethod
    def output_space(
        self, latent_shape: tuple[int, ...], padded: bool
    ) -> Tokens | Array:
        """Returns the space of Y′; `padded` where the first axis of latents varies."""

    def init(self, rng: jax.Array, latents: jax.Array) -> State:
        """Returns the state at the start of training, from latents f32[N, D]."""
        return {}

    @abc.abstractmethod
    def apply(
        self, state: State, keys: jax.Array, latents: jax.Array, mask: Mask, train: bool
    ) -> BottleneckOutput:
        """Passes latents through the bottleneck; `keys` are one per example."""

    @abc.abstractmethod
    def encode(self, state: State, latents: jax.Array, mask: Mask = None) -> jax.Array:
        """Returns the codes of latents, those of `apply` with the same `mask`."""

    @abc.abstractmethod
    def decode(self, state: State, codes: jax.Array) -> jax.Array:
        """Returns the values f32[B, *latent_shape, value_dim] of codes."""

    def code_scale(self, codes: jax.Array, mask: Mask) -> jax.Array | float:
        """Estimates from a batch the scale by which `finalize` divides codes.

        By default 1: codes stay as they are.
        """
        return 1.0

    @abc.abstractmethod
    def pack(self, space: Tokens | Array, codes: jax.Array, mask: Mask) -> Value:
        """Returns codes laid out as a y′ of `output_space`."""

    @abc.abstractmethod
    def unpack(
        self, space: Tokens | Array, latent_shape: tuple[int, ...], y_prime: Value
    ) -> tuple[jax.Array, Mask]:
        """Returns the codes of a y′, and their mask: the inverse of `pack`."""

    def update(
        self, state: State, rng: jax.Array, sums: Statistics, per_example: Statistics
    ) -> State:
        """Returns the state after a step, from the statistics of the global batch."""
        return state

    def finalize(
        self, state: State, latents: Iterable[tuple[jax.Array, Mask]]
    ) -> State:
        """Returns the state after training, from the (latents, mask) of all batches."""
        return state

    def summarize(
        self, metrics: dict[str, float], sums: dict[str, Any]
    ) -> dict[str, float]:
        """Adds metrics of the `sums` over a whole split to its mean metrics."""
        return metrics


def full_mask(latents: jax.Array) -> jax.Array:
    """Returns the mask of latents [B, *latent_shape, D] without padding."""
    return jnp.ones(latents.shape[:-1], bool)
