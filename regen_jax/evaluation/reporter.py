"""The report of a stage: its evaluators, made when the first report is."""

import contextlib
import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from regen_jax.errors import UserError, described
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.evaluation.objective import Objective
from regen_jax.interfaces import RunVariables, Variables
from regen_jax.training.stage import Report, Stage

logger = logging.getLogger("regen_jax")


@dataclasses.dataclass(frozen=True)
class Reporter:
    """Evaluates a stage on held-out data, called as (variables, frozen).

    Attributes:
      data: the held-out examples.
      stage: what is evaluated.
      make_evaluators: makes those that a stage has besides its objective.
    """

    data: EvaluationData
    stage: Stage
    make_evaluators: Callable[[EvaluationData, Stage], Sequence[Evaluator]]

    def __call__(self, variables: Variables, frozen: RunVariables) -> Report:
        """Returns the report on a stage.

        If an evaluator raises, the report names it and the others still run.

        Args:
          variables: those of the stage.
          frozen: those of the stages before it, by name.
        """
        report = Report()
        for evaluator in self.evaluators:
            with attempt(f"{self.stage.name}/{evaluator.name}", report.failed):
                evaluator({**frozen, self.stage.name: variables}, report)
        return dataclasses.replace(report, scalars=finite(report.scalars))

    @functools.cached_property
    def evaluators(self) -> Sequence[Evaluator]:
        """The evaluators of the stage, in the order they run."""
        return (
            Objective(self.data, self.stage),
            *self.make_evaluators(self.data, self.stage),
        )


@contextlib.contextmanager
def attempt(evaluator: str, failed: list[str]) -> Iterator[None]:
    """Logs an exception within its block in one line and adds `evaluator` to `failed`.

    A broken metric ends neither training nor the other metrics.
    """
    try:
        # Divisions by 0 are left out later, by name: see `finite`.
        with np.errstate(all="ignore"):
            yield
    except Exception as error:
        failed.append(evaluator)
        is_said = isinstance(error, UserError)
        reason = " ".join(str(error).split()) if is_said else described(error)
        # At this level only the first of several processes logs.
        logger.info("evaluator %s failed: %s", evaluator, reason)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns the metrics that are finite, as floats; logs the names of the others."""
    finite_metrics = {k: float(v) for k, v in metrics.items() if math.isfinite(v)}
    if dropped := [name for name in metrics if name not in finite_metrics]:
        logger.info("left out, as not finite: %s", ", ".join(dropped))
    return finite_metrics
