"""The gap between true and generated Y′."""

import dataclasses
import math

from regen_jax.data.pipeline import first_batch
from regen_jax.evaluation.evaluator import EvaluationData, Evaluator, count
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.evaluation.samples import Samples
from regen_jax.interfaces import RunVariables
from regen_jax.training.stage import Report


@dataclasses.dataclass(frozen=True)
class Gap(Evaluator):
    """Metrics of Y from the true Y′ of the prompts, beside those of samples.

    A decoder is trained on true Y′ and applied to generated ones. `true_y_prime/<metric>`
    is a metric of `Task.sample_metrics` where the prior makes no error, with the decoder's
    keys of the samples. `gap/<metric>` is `samples/<metric>` minus it; of deviations, whose
    names end in `_std`, it is the root of their summed squares, and counts have none. A
    pipeline that returns every y from its true y′, as the direct model does, has neither:
    that is `real/<metric>`.

    Where prompts have no y, as classes have none, the first examples of the core list take
    their place, at most as many.

    Attributes:
      data: the held-out examples.
      samples: whose prompts and metrics are taken; it runs before.
    """

    data: EvaluationData
    samples: Samples

    name = "gap"

    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds `true_y_prime/…` and `gap/…`; nothing where there are no samples."""
        data, regeneration = self.data, self.data.regeneration
        exact = regeneration.decoder is None and regeneration.abstraction.lossless
        if exact or "samples/number" not in report.scalars:
            return
        prompts = examples = self.samples.prompts()
        if "y" not in prompts:
            examples = first_batch(data.core_examples, count(prompts))
        trained = TrainedPipeline(data.task, regeneration, variables)
        y = trained.decode_true(examples, batch_size=data.batch_size)
        examples = {name: examples[name] for name in prompts}
        generated = self.samples.generated(examples, y)
        for name, value in self.samples.sample_metrics(variables)(generated).items():
            report.scalars[f"true_y_prime/{name}"] = value
            sampled = report.scalars.get(f"samples/{name}")
            if sampled is None or isinstance(value, int):
                continue  # Counts have no gap.
            is_deviation = name.endswith("_std")
            gap = math.hypot(sampled, value) if is_deviation else sampled - value
            report.scalars[f"gap/{name}"] = gap
