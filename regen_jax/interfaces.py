"""What an abstraction, a generator and a task are: the seams of the package.

All are frozen dataclasses whose fields are their options in the config. Abstractions and
generators hold no arrays: their methods are pure functions of explicit variables (a dict of
Flax collections: `params`, and whatever else a model keeps). Randomness comes as `keys`,
one `jax.random` key an example, so that a result depends on the example and not on how
a batch is split over steps, devices or hosts.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import flax.struct
import jax
import numpy as np

from regen_jax.spaces import Array, Category, Space, Tokens

Variables = Mapping[str, Any]
Judging = Callable[[np.ndarray, np.ndarray], dict[str, float]]


@flax.struct.dataclass
class Objective:
    """What a loss returns: an entry an example, so that any split of a batch agrees.

    Attributes:
      loss: f32[B], what training minimizes the mean of.
      metrics: f32[B] each, averaged over examples for the reader.
      totals: statistics summed over examples, such as code counts f32[K].
      examples: statistics kept an example, [B, ...], such as candidates for the revival
        of dead codes.
    """

    loss: jax.Array
    metrics: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    totals: dict[str, jax.Array] = flax.struct.field(default_factory=dict)
    examples: dict[str, jax.Array] = flax.struct.field(default_factory=dict)


class Abstraction(abc.ABC):
    """The arrow Y → Y′, and its own way back where it has one.

    A subclass is a frozen dataclass whose first field is `y`, the space it abstracts;
    the other fields are options. The same class abstracts a source (X → X′): X then
    stands in Y's place.
    """

    home: ClassVar[str] = "regen_jax.abstractions"
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
        """Variables at the start of training; only where `learned`.

        `y` [B, *y.shape] is a batch of data, for data-dependent starts.
        """
        raise NotImplementedError(f"{type(self).__name__} is not learned")

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
        """Variables after a step, from its statistics over the whole global batch."""
        return variables

    def summarize(
        self, metrics: dict[str, float], totals: dict[str, Any]
    ) -> dict[str, float]:
        """Adds figures that exist only over a whole split to its mean metrics.

        PSNR from the mean MSE, for example, or perplexity from the code counts.
        """
        return metrics


class Generator(abc.ABC):
    """A conditional generator p(b | a): the prior X → Y′ or the decoder Y′ → Y.

    A subclass is a frozen dataclass whose first fields are `source` and `target`, the
    spaces of a and b; the other fields are options, those of sampling (guidance,
    temperature, …) among them.
    """

    home: ClassVar[str] = "regen_jax.generators"
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
        """The objective on pairs a [B, *source.shape], b [B, *target.shape]."""

    @abc.abstractmethod
    def sample(self, variables: Variables, keys: jax.Array, a: jax.Array) -> jax.Array:
        """Draws b [B, *target.shape] given a; one key an example."""

    def log_prob(self, variables: Variables, a: jax.Array, b: jax.Array) -> jax.Array:
        """Exact log p(b | a) in nats, f32[B]; only where `has_log_prob`."""
        raise NotImplementedError(f"{type(self).__name__} has no exact likelihood")


class Task(abc.ABC):
    """What X and Y are, where examples come from, and how a generated Y is judged.

    A subclass is a frozen dataclass whose fields are the options of `config.data`.
    """

    home: ClassVar[str] = "regen_jax.tasks"

    @property
    @abc.abstractmethod
    def x(self) -> Space:
        """The space of X."""

    @property
    @abc.abstractmethod
    def y(self) -> Space:
        """The space of Y."""

    @abc.abstractmethod
    def examples(self, split: str) -> Sequence[dict[str, np.ndarray]]:
        """Random access to the examples of `train` or `test`: dicts of one x and y.

        Raises:
          UserError: the data are not prepared.
        """

    @property
    def judges(self) -> dict[str, "Judge"]:
        """Models that the task trains on real pairs, to judge generated ones by."""
        return {}

    def prompts(self, number: int) -> np.ndarray:
        """`number` values of X to generate from, [number, *x.shape]."""
        test = self.examples("test")
        return np.stack([test[i % len(test)]["x"] for i in range(number)])

    def restore(self, y: np.ndarray) -> np.ndarray:
        """Y in the data's own range and dtype, from values in the space of Y."""
        return y

    def judging(self, variables: Mapping[str, Variables]) -> Judging:
        """A function of generated (or real) y [N, …], restored, and the x asked for.

        It returns figures by name. `variables` holds those of the judges, by name.
        """
        return lambda x, y: {}

    def fidelity(self, y: np.ndarray, other: np.ndarray) -> dict[str, float]:
        """Figures of how near reconstructions are to y [N, …], both restored."""
        return {}

    def show(self, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
        """A picture, uint8 [H, W, 3], of restored y beside its x; None if none is apt."""
        return None

    def compare(self, y: np.ndarray, other: np.ndarray) -> np.ndarray | None:
        """A picture, uint8 [H, W, 3], of restored y beside another version of each."""
        return None


class Judge(abc.ABC):
    """A model that a task trains as a stage of its own; pure functions, like the rest."""

    @abc.abstractmethod
    def init(self, rng: jax.Array, x: jax.Array, y: jax.Array) -> Variables:
        """Variables at the start of training, from a batch."""

    @abc.abstractmethod
    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        x: jax.Array,
        y: jax.Array,
        train: bool,
    ) -> Objective:
        """The objective on real pairs."""
