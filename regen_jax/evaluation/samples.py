"""Samples for held-out X."""

import dataclasses
import functools
from typing import Any

import numpy as np

from regen_jax.data.host_features import as_batch
from regen_jax.errors import UserError
from regen_jax.evaluation.evaluator import (
    EvaluationData,
    Evaluator,
    concatenate,
    count,
)
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.interfaces import (
    Example,
    Generated,
    RunVariables,
    SampleMetrics,
)
from regen_jax.training.stage import Report


@dataclasses.dataclass(frozen=True)
class Samples(Evaluator):
    """Metrics and media of samples for the core list, or the first of it."""

    data: EvaluationData

    name = "samples"

    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds `samples/…`, `whole/…` for a whole split, and rendered samples."""
        task, regeneration, data = self.data.task, self.data.regeneration, self.data
        core = task.core_list(data.split)
        prompts = self.prompts()
        trained = TrainedPipeline(task, regeneration, variables)
        y_prime, y = trained.sample(prompts, batch_size=data.batch_size)
        generated = self.generated(prompts, y)
        metrics = self._metrics(variables, y_prime, generated)
        report.scalars |= {f"samples/{name}": value for name, value in metrics.items()}
        report.media.update(task.render_samples(*data.rendered((prompts, y))))
        report.per_example = functools.partial(task.per_example, variables, generated)
        others = np.setdiff1d(np.arange(len(task.examples(data.split))), core.rows)
        all_sampled = count(y) >= len(core.rows)
        if not (data.whole and core.whole and all_sampled and len(others)):
            return
        examples = task.examples(data.split)
        rest = as_batch([examples[int(row)] for row in others], regeneration)
        drawn = trained.sample(rest, 0, data.batch_size, first_index=count(y))
        prompts, y_prime, y = concatenate([(prompts, y_prime, y), (rest, *drawn)])
        metrics = self._metrics(variables, y_prime, Generated(prompts, y))
        report.scalars |= {f"whole/{name}": value for name, value in metrics.items()}

    def prompts(self) -> Example:
        """Returns the batch of examples that are prompts.

        Raises:
          UserError: there are none.
        """
        prompts = self.data.task.prompts(self.data.num_samples, self.data.split)
        if not prompts:
            raise UserError(
                f"no example of the core list of the split {self.data.split!r} fits "
                "config.data: raise its limits"
            )
        return as_batch(prompts, self.data.regeneration)

    def generated(self, prompts: Example, y: Any) -> Generated:
        """Returns samples with their fraction of the examples that are too long."""
        core = self.data.task.core_list(self.data.split)
        # For a part of the list, the same fraction of the examples that are too long.
        fraction = min(1.0, count(y) / len(core.rows))
        too_long = core.too_long[: round(fraction * len(core.too_long))]
        return Generated(prompts, y, too_long)

    def sample_metrics(self, variables: RunVariables) -> SampleMetrics:
        """Returns `Task.sample_metrics`, made once: it may read the training split."""
        if "sample_metrics" not in self._cache:
            self._cache["sample_metrics"] = self.data.task.sample_metrics(variables)
        return self._cache["sample_metrics"]

    @functools.cached_property
    def _cache(self) -> dict[str, SampleMetrics]:
        return {}

    def _metrics(
        self,
        variables: RunVariables,
        y_prime: Any,
        generated: Generated,
    ) -> dict[str, float]:
        regeneration = self.data.regeneration
        prompts, y, _ = generated
        prior = regeneration.prior
        metrics = self.sample_metrics(variables)(generated)
        metrics |= prior.target_metrics(y_prime)
        if "y" in prompts:
            trained = TrainedPipeline(self.data.task, regeneration, variables)
            true = trained.encode(prompts, self.data.batch_size)
            metrics |= regeneration.abstraction.code_metrics(y_prime, true)
            baseline = prior.target_metrics(true)
            metrics |= {f"true_{name}": value for name, value in baseline.items()}
        consistency = regeneration.abstraction.consistency_metrics(
            variables.get("abstraction", {}), y, y_prime
        )
        metrics |= {f"adherence_{name}": value for name, value in consistency.items()}
        return metrics | {"number": count(y)}
