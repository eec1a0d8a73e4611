"""The arrows X → Y′ and Y′ → Y."""

import abc
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import jax

from regen_jax.interfaces.types import Key, Variables
from regen_jax.loss_output import LossOutput
from regen_jax.networks.perturbation import kept_positions, replace_kept
from regen_jax.ranges import Checked
from regen_jax.spaces import Array, Category, Space, Tokens, Value


class PartBuilder(Protocol):
    """Builds the parts that a generator holds from the sections within its section.

    `config/` implements it, so that generators do not import what lies above them. Each
    method raises a `UserError` for sections that are wrong or do not fit.
    """

    def options(self, name: str, cls: type) -> Any:
        """Builds a dataclass of options from the section `name`, which may be missing."""

    def option(self, cls: type, name: str) -> Any:
        """Returns an option of the generator `cls` itself, by default that of its field."""

    def generator(
        self, name: str, source_space: Space, target_space: Space
    ) -> "Generator":
        """Builds the generator that the section `name` names."""

    def arrows(self, source_space: Space, target_space: Space) -> dict[str, Any]:
        """Builds what the sections `abstraction`, `prior` and `decoder` name.

        Returns:
          The parts by the names of their sections; decoder `inverse` is None.
        """


class Generator(Checked, abc.ABC):
    """A conditional generator p(target | source): the prior X → Y′ or decoder Y′ → Y.

    A subclass is a frozen dataclass whose first fields are `source_space` and
    `target_space`; the other fields are options, those of sampling (guidance,
    temperature, …) among them.
    """

    registry: ClassVar[str] = "regen_jax.generators"
    sources: ClassVar[tuple[type, ...]] = (Category, Tokens, Array)
    """Kinds of space that sources may live in."""
    targets: ClassVar[tuple[type, ...]]
    """Kinds of space that targets may live in."""
    has_log_prob: ClassVar[bool] = False
    """Whether `log_prob` exists."""
    parametric: bool = True
    """Whether it has parameters. The stage of one without takes no steps: `finalize` makes
    its variables."""
    sampling: ClassVar[frozenset[str]] = frozenset()
    """Options that `sample` alone reads: a finished stage can be taken with others."""
    nested: ClassVar[tuple[str, ...]] = ()
    """Fields that `build_nested` builds, each from a section that must be there."""

    source_space: Space
    target_space: Space

    @classmethod
    def build_nested(
        cls, builder: PartBuilder, source_space: Space, target_space: Space
    ) -> Mapping[str, Any]:
        """Builds the fields whose spaces depend on other fields, by name.

        Raises:
          ValueError: the spaces do not fit.
        """
        return {}

    def check_abstracted(self, y_space: Space) -> None:
        """Checks options of a prior that depend on the space that its target abstracts.

        Raises:
          ValueError: an option does not fit.
        """
        return

    @property
    def num_calls(self) -> int | None:
        """Calls of its network that a sample takes, one after another.

        With guidance, a call is with and without a source at once. None where the number
        is not fixed.
        """
        return None

    @abc.abstractmethod
    def init(self, rng: jax.Array) -> Variables:
        """Returns variables at the start of training."""

    @abc.abstractmethod
    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Computes the objective on pairs.

        Args:
          variables: of the generator.
          keys: one key per example, [B].
          source: [B, *source_space.shape].
          target: [B, *target_space.shape].
          train: whether dropout and other noise of training is on.
        """

    @abc.abstractmethod
    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        """Draws targets [B, *target_space.shape] given sources; one key per example."""

    def sample_segment(
        self, variables: Variables, keys: jax.Array, source: Value, first: jax.Array
    ) -> Value:
        """Draws segments, from positions `first` i32[B] on, of longer targets.

        By default segments are independent. A generator that starts from noise draws that
        of a position by its index in the longer target, so that segments agree where they
        overlap.
        """
        keys = jax.vmap(jax.random.fold_in)(keys, first)
        return self.sample(variables, keys, source)

    def resample(
        self,
        variables: Variables,
        keys: jax.Array,
        source: Value,
        target: Value,
        fraction: float,
    ) -> Value:
        """Draws targets of which that fraction of positions is generated, in expectation.

        The others are those of `target` [B, *target_space.shape]. By default they are put
        into a sample that is drawn without them; a generator that can draws the rest given
        them.
        """
        kept = kept_positions(self.target_space, keys, 1 - fraction)
        sampled = self.sample(variables, keys, source)
        return replace_kept(self.target_space, kept, target, sampled)

    def log_prob(self, variables: Variables, source: Value, target: Value) -> jax.Array:
        """Computes log p(target | source) in nats, f32[B]; only where `has_log_prob`."""
        raise NotImplementedError(f"{type(self).__name__} has no exact likelihood")

    def alignment(
        self, variables: Variables, source: Value, target: Value
    ) -> jax.Array | None:
        """Returns where positions of the target attend in the source, to be rendered.

        Returns:
          Weights f32[B, target positions, source positions]; None if there are none.
        """
        return None

    def target_metrics(self, target: Any) -> dict[str, float]:
        """Computes metrics of targets [N, *target_space.shape] that need no reference.

        Samples report them, and those of true Y′ beside them.
        """
        return {}

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        """Returns variables after a step, as `Abstraction.update`."""
        return variables

    def finalize(
        self, variables: Variables, pairs: Iterable[tuple[Value, Value]]
    ) -> Variables:
        """Returns the variables that sampling reads; called once after training.

        Collections other than `params` may change, but not their shapes or dtypes.

        Args:
          variables: with averaged parameters.
          pairs: sources and targets of all training examples in order, [B, …] each, where
            the last may be smaller. Each iteration is a new pass.
        """
        return variables
