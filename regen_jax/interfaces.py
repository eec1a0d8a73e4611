"""What an abstraction and a generator are: the two seams of regeneration learning.

Both are frozen dataclasses whose fields are their options in the config; they hold no arrays. Their methods are pure
functions of explicit variables (a dict of Flax collections: `params`, and whatever else a model keeps). Randomness
comes as `keys`, one `jax.random` key an example, so that a result depends on the example and not on how a batch is
split over steps, devices or hosts.
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import flax.struct
import jax

from regen_jax.spaces import Array, Category, Space, Tokens

Variables = Mapping[str, Any]


@flax.struct.dataclass
class Objective:
    """What a loss returns, an entry an example, so that every split of a batch gives the same mean.

    Attributes:
      loss: f32[B], what training minimizes the mean of.
      metrics: f32[B] each, averaged over examples for the reader.
      totals: statistics summed over examples, such as code counts i32[K] or f32[K].
      examples: statistics kept an example, [B, ...], such as candidates for the revival of dead codes.
    """

    loss: jax.Array
    metrics: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    totals: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    examples: dict[str, jax.Array] = flax.struct.field(default_factory=dict)


class Abstraction(abc.ABC):
    """The arrow Y → Y′, and its own way back where it has one.

    A subclass is a frozen dataclass whose first field is `y`, the space it abstracts; the other fields are options.
    The same class abstracts a source (X → X′): X then stands in Y's place.
    """

    learned: ClassVar[bool] = False
    """Whether the abstraction has a training stage of its own."""
    lossless: bool = False
    """Whether Y′ determines Y, so that a likelihood of Y′ is one of Y."""
    decodes: bool = True
    """Whether `decode` exists, so that the decoder `inverse` can be chosen."""

    y: Space

    @property
    @abc.abstractmethod
    def y_prime(self) -> Space:
        """The space of Y′."""

    def init(self, rng: jax.Array, y: jax.Array) -> Variables:
        """Variables at the start of training; `y` [B, *y.shape] is a batch for data-dependent starts."""
        return {}

    @abc.abstractmethod
    def encode(self, variables: Variables, y: jax.Array) -> jax.Array:
        """Maps y [B, *y.shape] to y′ [B, *y_prime.shape]."""

    def decode(self, variables: Variables, y_prime: jax.Array) -> jax.Array:
        """Maps y′ [B, *y_prime.shape] back to y [B, *y.shape]."""
        raise NotImplementedError(f"{type(self).__name__} has no way back")

    def loss(
        self, variables: Variables, keys: jax.Array, y: jax.Array, train: bool
    ) -> Objective:
        """The self-supervised objective on y [B, *y.shape]; only where `learned`."""
        raise NotImplementedError(f"{type(self).__name__} is not learned")

    def update(
        self, variables: Variables, rng: jax.Array, objective: Objective
    ) -> Variables:
        """Variables after a step, from its statistics over the whole global batch (an EMA codebook, say)."""
        return variables

    def summarize(
        self, metrics: dict[str, float], totals: dict[str, Any]
    ) -> dict[str, float]:
        """Figures that exist only over a whole split: PSNR from its mean MSE, perplexity from its code counts."""
        return metrics


class Generator(abc.ABC):
    """A conditional generator p(b | a), for either arrow: X → Y′ (prior) or Y′ → Y (decoder).

    A subclass is a frozen dataclass whose first fields are `source` and `target`, the spaces of a and b; the other
    fields are options, those of sampling (guidance, temperature, …) among them.
    """

    sources: ClassVar[tuple[type, ...]] = (Category, Tokens, Array)
    """Kinds of space that a may live in."""
    targets: ClassVar[tuple[type, ...]]
    """Kinds of space that b may live in."""
    has_log_prob: ClassVar[bool] = False

    source: Space
    target: Space

    @abc.abstractmethod
    def init(self, rng: jax.Array) -> Variables:
        """Variables at the start of training."""

    @abc.abstractmethod
    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        a: jax.Array,
        b: jax.Array,
        train: bool,
    ) -> Objective:
        """The training objective on pairs a [B, *source.shape], b [B, *target.shape]."""

    @abc.abstractmethod
    def sample(self, variables: Variables, keys: jax.Array, a: jax.Array) -> jax.Array:
        """Draws b [B, *target.shape] given a; one key an example."""

    def log_prob(self, variables: Variables, a: jax.Array, b: jax.Array) -> jax.Array:
        """Exact log p(b | a) in nats, f32[B]; only where `has_log_prob`."""
        raise NotImplementedError(f"{type(self).__name__} has no exact likelihood")
