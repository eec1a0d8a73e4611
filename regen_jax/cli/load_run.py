"""A finished run, read back from its folder."""

from pathlib import Path
from typing import Any

from regen_jax.cli import workdir
from regen_jax.config.build import SECTIONS, Run
from regen_jax.errors import UserError
from regen_jax.interfaces import Task
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Value, zeros
from regen_jax.training.start import TrainedStage, load_stage


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the config of the run in a folder, with all its sections.

    Raises:
      UserError: there is no run, or its config is damaged or of another format.
    """
    config = workdir.read(directory)
    missing = [name for name in SECTIONS if name not in config]
    if missing:
        raise UserError(
            f"{directory / workdir.CONFIG} cannot be read: it lacks {', '.join(missing)}"
        )
    return config


def load_run(run: Run, directory: Path) -> dict[str, TrainedStage]:
    """Returns the stages of a finished run by name, on one device.

    Raises:
      UserError: a stage is not finished, or its checkpoint is damaged.
    """
    batch = blank_batch(run.task, run.regeneration)
    return {
        stage.name: load_stage(stage, run.train[stage.name], directory, batch)
        for stage in run.stages
    }


def blank_batch(task: Task, regeneration: Regeneration) -> dict[str, Value]:
    """Returns two examples of zeros, by which the shapes of variables are inferred."""
    batch = {"x": zeros(task.x, 2), "y": zeros(task.y, 2)}
    for name, part in (
        ("x_prime", regeneration.source),
        ("y_prime", regeneration.abstraction),
    ):
        if part.runs_on_host:
            batch[name] = zeros(part.output_space, 2)
    return batch
