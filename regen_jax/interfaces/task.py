"""What X and Y are."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from regen_jax.errors import UserError
from regen_jax.interfaces.judge import Judge
from regen_jax.interfaces.types import Example, RunVariables
from regen_jax.media.media import Media
from regen_jax.ranges import Checked
from regen_jax.spaces import Space

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


class PromptKind(NamedTuple):
    """A kind of prompt that users can give to `sample`.

    Attributes:
      help: what the flag of that name gives.
      is_file: whether its value is the path of a file, in place of a text.
    """

    help: str
    is_file: bool = False


SampleMetrics = Callable[[Generated], dict[str, float]]


class Task(Checked, abc.ABC):
    """What X and Y are, where examples come from, and how samples are evaluated.

    A subclass is a frozen dataclass whose fields are the options of `config.data`.
    """

    registry: ClassVar[str] = "regen_jax.tasks"
    num_rendered: ClassVar[int | None] = None
    """Number of examples that a report renders, the first ones; None for all."""
    prompt_kinds: ClassVar[Mapping[str, PromptKind]] = {}
    """What `parse_prompt` reads, by the name of the kind, such as `text`.

    Kinds of the tasks of this package are flags of `sample`; those of a task of one's
    own are given as `--prompt=kind:value`.
    """
    joint_kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of which a prompt has one of each: `parse_prompt` returns a part of x for each,
    some fields of a Record. Empty where each is a prompt of its own."""

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
        """Returns the examples of `train`, `validation` or `test`, for random access.

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
    def judges(self) -> dict[str, Judge]:
        """Models by name that the run trains on real pairs, to judge generated ones."""
        return {}

    def core_list(self, split: str) -> CoreList:
        """Returns the core list of `validation` or `test`; by default all of the split."""
        return CoreList(np.arange(len(self.examples(split))))

    def prompts(self, number: int, split: str = "test") -> list[Example]:
        """Returns the first `number` examples of a split's core list, to generate from x.

        It is all of the list if `number` is 0 or exceeds it: no example is drawn twice.
        Their y are references.
        """
        examples, rows = self.examples(split), self.core_list(split).rows
        return [examples[int(row)] for row in rows[: number or None]]

    def real_examples(self, split: str) -> Sequence[Example]:
        """Returns the examples whose real y are the baseline of samples: the core list."""
        examples, rows = self.examples(split), self.core_list(split).rows
        return [examples[int(row)] for row in rows]

    def parse_prompt(self, kind: str, value: str) -> Example:
        """Returns an example from what a user gave.

        Args:
          kind: one of `prompt_kinds`, or one that the task does not take.
          value: a text, or the absolute path of a file.

        Raises:
          UserError: the task takes no such thing, or not this one.
        """
        raise UserError(
            f"this task generates from its own prompts, not from --{kind}: --num says "
            "from how many"
        )

    def postprocess(self, y: Any) -> Any:
        """Converts values of the space of Y to the range and dtype of the data."""
        return y

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns a function of `Generated` to metrics by name.

        A metric that has no value, of one sample for example, is left out.

        Args:
          variables: those of the judges, by name.
        """
        return lambda generated: {}

    @property
    def baselines(self) -> Mapping[str, Callable[[Example], Any]]:
        """Rules by name that predict postprocessed y [N, …] from a batch of prompts.

        `evaluate` writes their `sample_metrics` as `baseline/<name>_<metric>`.
        """
        return {}

    def per_example(self, variables: RunVariables, generated: Generated) -> PerExample:
        """Returns results per example, by which `launch.compare` compares two runs.

        Args:
          variables: those of the judges, by name.
          generated: the samples.
        """
        return {}

    def likelihood_unit(self, y: Any) -> tuple[str, np.ndarray] | None:
        """Returns the unit that likelihoods are normalized by, and its count per example.

        It is `word` or `note`, say, with i64[N] for y [N, …], so that models of other
        tokens compare; None for none.
        """
        return None

    def reconstruction_metrics(self, y: Any, other: Any) -> dict[str, float]:
        """Returns metrics of reconstructions `other` of y [N, …], both postprocessed."""
        return {}

    def speed_metrics(self, y: Any, seconds: float) -> dict[str, float]:
        """Returns metrics of generating y [N, …] in `seconds`, such as a real-time factor.

        Called for single examples (latency) and for a batch (throughput).
        """
        return {}

    def render_samples(self, prompts: Example, y: Any) -> Media:
        """Renders postprocessed y [N, …] beside their prompts."""
        return Media()

    def render_reconstructions(self, y: Any, other: Any) -> Media:
        """Renders postprocessed y [N, …] beside their reconstructions."""
        return Media()
