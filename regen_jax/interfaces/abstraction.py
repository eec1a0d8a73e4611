"""The arrow Y → Y′."""

import abc
from collections.abc import Iterable
from typing import Any, ClassVar

import jax
import numpy as np

from regen_jax.interfaces.generator import Generator
from regen_jax.interfaces.types import Example, RunVariables, Variables
from regen_jax.loss_output import LossOutput
from regen_jax.ranges import Checked
from regen_jax.spaces import Padded, Space, Value


class Abstraction(Checked, abc.ABC):
    """The arrow Y → Y′, and its inverse where it has one.

    A subclass is a frozen dataclass whose first field is `input_space`, the space of Y;
    the other fields are options. The same class abstracts a source, X → X′: `input_space`
    is that of X then.
    """

    registry: ClassVar[str] = "regen_jax.abstractions"
    learned: ClassVar[bool] = False
    """Whether it has variables, and a training stage."""
    parametric: bool = True
    """Whether a learned one has parameters, which steps train; see `Generator`."""
    lossless: bool = False
    """Whether Y′ determines Y, so that the likelihood of Y′ is that of Y."""
    invertible: bool = True
    """Whether `decode` exists, so that the decoder `inverse` can be chosen."""
    runs_on_host: ClassVar[bool] = False
    """Whether the input pipeline applies it to single examples; see `HostFeature`."""
    human_editable: ClassVar[bool] = False
    """Whether Y′ has a text form that people can edit: `to_text` and `from_text`."""

    starts_pretrained: bool = False
    """Whether `pretrained` returns any collections."""

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

    def pretrained(self, stages: RunVariables) -> Variables:
        """Returns collections that training starts with, in place of those of `init`.

        They hold networks that were trained before and stay as they are, such as those by
        which a loss compares images. So variables are all that later stages need.

        Args:
          stages: variables of the finished stages by name, or their shapes.

        Raises:
          UserError: a stage or a file does not have what is needed.
        """
        return {}

    def start_from(self, variables: Variables) -> Variables:
        """Returns collections that training starts with, from another run's variables.

        Parts of `params` that are left out start as those of `init`.

        Args:
          variables: of a finished stage, or their shapes within `jax.eval_shape`.

        Raises:
          ValueError: they cannot be used.
        """
        return {"params": variables["params"]}

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

    def finalize(self, variables: Variables, batches: Iterable[Value]) -> Variables:
        """Returns the variables that later stages read; called once after training.

        Collections other than `params` may change, such as moments of the latents, but
        not their shapes or dtypes.

        Args:
          variables: with averaged parameters.
          batches: the inputs of all training examples in order, [B, *input_space.shape]
            each, where the last may be smaller. Each iteration is a new pass.

        Raises:
          UserError: the training examples do not suit the options.
        """
        return variables

    def check_data(self, batches: Iterable[Value]) -> None:
        """Raises a UserError where the training examples do not suit the options.

        Called before anything is compiled or written; reads as little as it can.

        Args:
          batches: as those of `finalize`, on the host.
        """
        return

    @property
    def decoder(self) -> Generator | None:
        """Its decoder network as a generator Y′ → Y, which can train further.

        None where `decode` is a rule. Its variables are `decoder_variables`.
        """
        return None

    def decoder_variables(self, variables: Variables) -> Variables:
        """Returns the part of variables, or of their shapes, that `decoder` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no decoder network")

    def code_metrics(self, y_prime: Any, reference: Any) -> dict[str, float]:
        """Returns metrics that compare generated y′ [N, …] with true ones."""
        return {}

    def consistency_metrics(
        self, variables: Variables, y: Any, y_prime: Any
    ) -> dict[str, float]:
        """Returns metrics that compare y′ of y [N, …] with those y was generated from.

        Args:
          variables: of the abstraction, as of `encode`.
          y: postprocessed values.
          y_prime: values of `output_space`.
        """
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
        raise TypeError(f"{type(self).__name__} runs in the input pipeline: extract")
