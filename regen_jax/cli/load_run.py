"""The stages of a finished run, read back from its folder."""

from pathlib import Path

from regen_jax.config.build import Run
from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.training.start import TrainedStage, load_stage


def restore(run: Run, directory: Path) -> dict[str, TrainedStage]:
    """Stages by name, on one device; `UserError` where one is not finished."""
    batch = first_batch(open_examples(run.task, run.regeneration, "train"), 2)
    return {
        stage.name: load_stage(stage, run.train[stage.name], directory, batch)
        for stage in run.stages
    }
