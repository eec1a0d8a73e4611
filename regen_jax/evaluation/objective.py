"""Evaluates the training objective of a stage on a held-out split."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from regen_jax.data.pipeline import evaluation_batches
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator, count
from regen_jax.interfaces import RunVariables
from regen_jax.random import example_keys
from regen_jax.training.stage import Report, Stage


@dataclasses.dataclass(frozen=True)
class Objective(Evaluator):
    """Means of a stage's loss and metrics over a pass of the split.

    Every example has the same key in every pass and at any batch size, so that metrics of
    different steps and runs compare.

    Attributes:
      data: the held-out examples.
      stage: whose loss is computed.
    """

    data: EvaluationData
    stage: Stage

    name = "objective"

    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds `<stage>/loss` and other metrics of the stage."""
        parts = []
        first = 0
        for batch in evaluation_batches(self.data.examples, self.data.batch_size):
            own = variables[self.stage.name]
            parts.append(self._sums(own, variables, first, batch))
            first += count(batch)
        weighted, sums = jax.tree.map(
            lambda *values: np.sum(values, axis=0), *jax.device_get(parts)
        )
        means = {k: float(total / weight) for k, (total, weight) in weighted.items()}
        for name, value in self.stage.summarize(means, sums).items():
            report.scalars[f"{self.stage.name}/{name}"] = value

    @functools.cached_property
    def _sums(self) -> Callable[..., Any]:
        rng = jax.random.key(0)

        @jax.jit
        def sums(variables, frozen, first, batch):
            keys = example_keys(rng, first, count(batch))
            output = self.stage.loss(variables, frozen, keys, batch, False)
            return output.weighted_sums(), output.sums

        return sums
