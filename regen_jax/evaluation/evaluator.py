"""What an evaluator is: metrics and media of trained variables, on held-out data."""

import abc
import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np

from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import DataSource, select
from regen_jax.interfaces import RunVariables, Task
from regen_jax.regeneration import Regeneration
from regen_jax.training.stage import Report


@dataclasses.dataclass(frozen=True)
class EvaluationData:
    """The held-out examples of a report, and the pipeline that is evaluated on them.

    Attributes:
      task: reads the examples and computes metrics of samples.
      regeneration: the parts of the pipeline.
      split: the held-out split.
      batch_size: of examples and samples; no metric depends on it.
      num_samples: samples of a report on the prior; 0 is one per example of the core list.
      whole: whether samples are also drawn for the rest of a split of which no example
        is left out.
    """

    task: Task
    regeneration: Regeneration
    split: str
    batch_size: int
    num_samples: int
    whole: bool = False

    @property
    def examples(self) -> DataSource:
        """Examples of the split that fit the options, with features made on the host."""
        return open_examples(self.task, self.regeneration, self.split)

    @property
    def core_examples(self) -> DataSource:
        """Those of the core list."""
        return select(self.examples, self.task.core_list(self.split).rows)

    def rendered(self, values: Any) -> Any:
        """Returns of a tree of arrays [N, …] the first ones, which a report shows."""
        return jax.tree.map(lambda array: array[: self.task.num_rendered], values)


class Evaluator(abc.ABC):
    """Adds metrics and media of trained variables to a report.

    A subclass is a frozen dataclass that is made when a report is, so that nothing is
    read or compiled for runs that report nothing.

    Attributes:
      data: what is evaluated, on which examples.
    """

    name: ClassVar[str]
    """By which the log names an evaluator that raised."""

    data: EvaluationData

    @abc.abstractmethod
    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds to the report.

        Args:
          variables: those of all stages so far, by stage name.
          report: gets scalars and media.
        """


def count(batch: Any) -> int:
    """Returns the number of examples in a batch [N, …]."""
    return len(jax.tree.leaves(batch)[0])


def concatenate(batches: list[Any]) -> Any:
    """Joins batches [N_i, …] of one structure to [sum of N_i, …]."""
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *batches)
