"""What an abstraction, a generator and a task are: the seams of the package.

All are frozen dataclasses whose fields are their options in the config. Abstractions and
generators hold no arrays: their methods are pure functions of explicit variables (a dict of
Flax collections: `params`, and whatever else a model keeps). Randomness comes as `keys`,
one `jax.random` key an example, so that a result depends on the example and not on how
a batch is split over steps, devices or hosts.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import jax
import numpy as np

from regen_jax.errors import UserError
from regen_jax.loss_output import LossOutput
from regen_jax.media.media import Media
from regen_jax.spaces import Array, Category, Padded, Space, Tokens, Value

Variables = Mapping[str, Any]
Example = Mapping[str, Any]
"""`x`, `y` where it is known, `x_prime` and `y_prime` where a rule for the host made
them, and notes: whatever else a data set says. A batch of examples has no notes."""
PerExample = Mapping[str, Sequence[str] | np.ndarray]
"""Columns by name, one entry per sample, then one per example that was too long.

Texts: `output`, empty where an example was too long, and others, such as `reference`,
that identify the example. Under the name of a metric f64[N, 2], the numerator and the
denominator of each example.
"""


@dataclasses.dataclass(frozen=True)
class CoreList:
    """The examples of a held-out split that every configuration reports on.

    The data set fixes the list, by words or beats, whatever the tokenizer.

    Attributes:
      rows: i64[R], indices into `Task.examples(split)`, of those that fit the options.
      too_long: the others, as records of the data set; each scores as an empty output.
      whole: whether `Task.examples(split)` leaves out nothing of the split, so that
        metrics of the whole split compare too.
    """

    rows: np.ndarray
    too_long: tuple[Example, ...] = ()
    whole: bool = False


class Generated(NamedTuple):
    """Samples, and the prompts that they were generated from.

    Attributes:
      prompts: a batch of examples, N of them.
      y: postprocessed samples [N, …].
      too_long: `CoreList.too_long`, whose outputs are empty: metrics that compare with a
        reference count them as such, others ignore them.
    """

    prompts: Example
    y: Any
    too_long: Sequence[Example] = ()


SampleMetrics = Callable[[Generated], dict[str, float]]


class Abstraction(abc.ABC):
    """The arrow Y → Y′, and its inverse where it has one.

    A subclass is a frozen dataclass whose first field is `input_space`, the space of Y;
    the other fields are options. The same class abstracts a source, X → X′: `input_space`
    is that of X then.
    """

    registry: ClassVar[str] = "regen_jax.abstractions"
    learned: ClassVar[bool] = False
    """Whether it has parameters, and a training stage."""
    lossless: bool = False
    """Whether Y′ determines Y, so that the likelihood of Y′ is that of Y."""
    invertible: bool = True
    """Whether `decode` exists, so that the decoder `inverse` can be chosen."""
    runs_on_host: ClassVar[bool] = False
    """Whether the input pipeline applies it to single examples; see `HostFeature`."""
    human_editable: ClassVar[bool] = False
    """Whether Y′ has a text form that people can edit: `to_text` and `from_text`."""

    input_space: Space

    @property
    @abc.abstractmethod
    def output_space(self) -> Space:
        """The space of Y′."""

    def init(self, rng: jax.Array, y: Value) -> Variables:
        """Returns variables at the start of training; only where `learned`.

        Args:
          rng: of the draws.
          y: a batch [B, *input_space.shape], for data-dependent initialization.
        """
        raise NotImplementedError(f"{type(self).__name__} is not learned")

    @abc.abstractmethod
    def encode(self, variables: Variables, y: Value) -> Value:
        """Maps y [B, *input_space.shape] to y′ [B, *output_space.shape]."""

    def decode(self, variables: Variables, y_prime: Value) -> Value:
        """Maps y′ [B, *output_space.shape] to y [B, *input_space.shape]."""
        raise NotImplementedError(f"{type(self).__name__} is not invertible")

    def loss(
        self, variables: Variables, keys: jax.Array, y: Value, train: bool
    ) -> LossOutput:
        """Computes the self-supervised loss of y [B, *input_space.shape].

        Only where `learned`.

        Args:
          variables: as `init` returns them.
          keys: one per example.
          y: a batch.
          train: whether to draw what is random in training alone, such as dropout.
        """
        raise NotImplementedError(f"{type(self).__name__} is not learned")

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        """Returns variables after a step, given the loss output of the global batch."""
        return variables

    def finalize(self, variables: Variables, batches: Iterator[Value]) -> Variables:
        """Returns the variables that later stages read; called once after training.

        Collections other than `params` may change, such as moments of the latents, but
        not their shapes or dtypes.

        Args:
          variables: with averaged parameters.
          batches: the inputs of all training examples, once, in order:
            [B, *input_space.shape] each, where the last may be smaller.
        """
        return variables

    def code_metrics(self, y_prime: Any, reference: Any) -> dict[str, float]:
        """Returns metrics that compare generated y′ [N, …] with true ones."""
        return {}

    def consistency_metrics(self, y: Any, y_prime: Any) -> dict[str, float]:
        """Returns metrics that compare y′ of y [N, …] with those y was generated from."""
        return {}

    def to_text(self, y_prime: np.ndarray) -> str:
        """Returns one y′ as a text that people can edit; only where `human_editable`."""
        raise NotImplementedError(f"{type(self).__name__} writes no texts")

    def from_text(self, text: str) -> np.ndarray:
        """Returns the y′ of a text: the inverse of `to_text`.

        Only where `human_editable`.

        Raises:
          UserError: names the place where the text is not valid.
        """
        raise NotImplementedError(f"{type(self).__name__} reads no texts")

    def summarize(
        self, metrics: dict[str, float], sums: dict[str, Any]
    ) -> dict[str, float]:
        """Adds metrics of a whole split to its mean metrics.

        For example, perplexity from the code counts among the `LossOutput.sums`.
        """
        return metrics


class HostFeature(Abstraction):
    """An abstraction by Python code, which cannot run within a compiled step.

    The input pipeline applies it, and caches its results with the prepared data.
    """

    runs_on_host = True
    invertible = False

    @abc.abstractmethod
    def extract(self, value: np.ndarray | Padded, metadata: Example) -> np.ndarray:
        """Returns the y′ [*output_space.shape] of one example.

        Args:
          value: y [*input_space.shape], in NumPy.
          metadata: all fields that the data set has of the example.

        Raises:
          UserError: this y has no y′.
        """

    def encode(self, variables: Variables, y: Value) -> Value:
        raise TypeError(f"{type(self).__name__} runs in the input pipeline: annotate")


class Generator(abc.ABC):
    """A conditional generator p(b | a): the prior X → Y′ or the decoder Y′ → Y.

    A subclass is a frozen dataclass whose first fields are `source` and `target`, the
    spaces of a and b; the other fields are options, those of sampling (guidance,
    temperature, …) among them.
    """

    registry: ClassVar[str] = "regen_jax.generators"
    sources: ClassVar[tuple[type, ...]] = (Category, Tokens, Array)
    """Kinds of space that a may live in."""
    targets: ClassVar[tuple[type, ...]]
    """Kinds of space that b may live in."""
    has_log_prob: ClassVar[bool] = False
    sampling: ClassVar[frozenset[str]] = frozenset()
    """Options that `sample` alone reads: a finished stage can be taken with others."""

    source_space: Space
    target_space: Space

    @abc.abstractmethod
    def init(self, rng: jax.Array) -> Variables:
        """Variables at the start of training."""

    @abc.abstractmethod
    def loss(
        self,
        variables: Variables,
        keys: jax.Array,
        a: Value,
        b: Value,
        train: bool,
    ) -> LossOutput:
        """The objective on pairs a [B, *source.shape], b [B, *target.shape]."""

    @abc.abstractmethod
    def sample(self, variables: Variables, keys: jax.Array, a: Value) -> Value:
        """Draws b [B, *target.shape] given a; one key an example."""

    def log_prob(self, variables: Variables, a: Value, b: Value) -> jax.Array:
        """Exact log p(b | a) in nats, f32[B]; only where `has_log_prob`."""
        raise NotImplementedError(f"{type(self).__name__} has no exact likelihood")

    def alignment(self, variables: Variables, a: Value, b: Value) -> jax.Array | None:
        """Where each position of b looks in a: weights f32[B, of b, of a], to be shown.

        None where the generator has no such thing.
        """
        return None

    def update(
        self, variables: Variables, rng: jax.Array, objective: LossOutput
    ) -> Variables:
        """Variables after a step, as `Abstraction.update`."""
        return variables


class Task(abc.ABC):
    """What X and Y are, where examples come from, and how a generated Y is judged.

    A subclass is a frozen dataclass whose fields are the options of `config.data`.
    """

    registry: ClassVar[str] = "regen_jax.tasks"
    num_rendered: ClassVar[int | None] = None
    """How many examples a report shows, the first ones; None is all of them."""

    @property
    @abc.abstractmethod
    def x(self) -> Space:
        """The space of X."""

    @property
    @abc.abstractmethod
    def y(self) -> Space:
        """The space of Y."""

    @abc.abstractmethod
    def examples(self, split: str) -> Sequence[Example]:
        """Random access to the examples of `train`, `validation` or `test`.

        The data set fixes the members of each; those that do not fit the options are
        left out. A task that has more Y than pairs has a split `targets` too, examples
        without x: the y of `train` and those that have no x.

        Raises:
          UserError: there is no such split, or the data are not prepared.
        """

    def read_info(self) -> dict[str, Any]:
        """Reads from the prepared data what spaces and prompts depend on.

        It is strict JSON, such as names of labels or the pieces of a tokenizer, and is
        stored in the workdir, so that a run samples where its data are gone.
        """
        return {}

    @functools.cached_property
    def info(self) -> dict[str, Any]:
        """What `read_info` returns, or what `with_info` gave."""
        return self.read_info()

    def with_info(self, info: Mapping[str, Any]) -> Self:
        """Returns the same task, which takes `info` from a run and reads no data for it."""
        task = dataclasses.replace(self)  # type: ignore[type-var]
        vars(task)["info"] = dict(info)
        return task

    @property
    def judges(self) -> dict[str, "Judge"]:
        """Models that the task trains on real pairs, to judge generated ones by."""
        return {}

    def core_list(self, split: str) -> CoreList:
        """The core list of `validation` or `test`; by default all of the split."""
        return CoreList(np.arange(len(self.examples(split))))

    def prompts(self, number: int, split: str = "test") -> list[Example]:
        """The first `number` examples of a split's core list, to generate from their x.

        All of the list where `number` is 0 or exceeds it: no example is drawn twice.
        Their y are there to compare with.
        """
        examples, rows = self.examples(split), self.core_list(split).rows
        return [examples[int(row)] for row in rows[: number or None]]

    def parse_prompt(self, kind: str, value: str) -> Example:
        """An example from what a user gave: a `text`, or the path of `audio` or `midi`.

        Raises:
          UserError: the task takes no such thing, or not this one.
        """
        raise UserError(f"this task generates from its own prompts, not from --{kind}")

    def postprocess(self, y: Any) -> Any:
        """Y in the data's own range and dtype, from values in the space of Y."""
        return y

    def sample_metrics(self, variables: Mapping[str, Variables]) -> SampleMetrics:
        """Returns a function of `Generated` to metrics by name.

        A metric that has no value, of one sample for example, is left out.

        Args:
          variables: those of the judges, by name.
        """
        return lambda generated: {}

    def per_example(
        self, variables: Mapping[str, Variables], generated: Generated
    ) -> PerExample:
        """Returns results per example, by which `launch.compare` compares two runs.

        Args:
          variables: those of the judges, by name.
          generated: the samples.
        """
        return {}

    def likelihood_unit(self, y: Any) -> tuple[str, np.ndarray] | None:
        """What likelihoods are told for each of, and how many of it y [N, …] have, [N].

        Words or notes, for example, so that models of other tokens compare.
        """
        return None

    def reconstruction_metrics(self, y: Any, other: Any) -> dict[str, float]:
        """Figures of how near reconstructions are to y [N, …], both restored."""
        return {}

    def speed_metrics(self, y: Any, seconds: float) -> dict[str, float]:
        """Returns metrics of generating y [N, …] in `seconds`, such as a real-time factor.

        Called for single examples (latency) and for a batch (throughput).
        """
        return {}

    def render_samples(self, prompts: Example, y: Any) -> Media:
        """Restored y beside their prompts."""
        return Media()

    def render_reconstructions(self, y: Any, other: Any) -> Media:
        """Restored y beside another version of each."""
        return Media()


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
    ) -> LossOutput:
        """The objective on real pairs."""
