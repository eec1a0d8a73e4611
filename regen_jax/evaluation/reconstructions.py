"""Y → Y′ → Y of held-out examples."""

import dataclasses

from regen_jax.evaluation.evaluator import EvaluationData, Evaluator
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.interfaces import RunVariables
from regen_jax.training.stage import Report


@dataclasses.dataclass(frozen=True)
class Reconstructions(Evaluator):
    """Metrics and media of reconstructions beside the true Y.

    Attributes:
      data: the held-out examples.
      stage: name of the stage that reconstructs, the prefix of the metrics.
    """

    data: EvaluationData
    stage: str

    name = "reconstructions"

    def __call__(self, variables: RunVariables, report: Report) -> None:
        """Adds the task's `reconstruction_metrics` and rendered reconstructions."""
        data = self.data
        trained = TrainedPipeline(data.task, data.regeneration, variables)
        y, reconstructed = trained.reconstruct(data.batch_size, data.split)
        metrics = data.task.reconstruction_metrics(y, reconstructed)
        report.scalars |= {f"{self.stage}/{k}": v for k, v in metrics.items()}
        pairs = data.rendered((y, reconstructed))
        report.media.update(data.task.render_reconstructions(*pairs))
