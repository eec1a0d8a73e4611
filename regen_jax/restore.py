"""A finished run read back from its folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regen_jax import workdir
from regen_jax.build import Run, build
from regen_jax.data.annotated import open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.training.loop import Trained, load


def restore(
    directory: Path, overrides: Mapping[str, Any] = {}, num_samples: int | None = None
) -> tuple[Run, dict[str, Trained]]:
    """The run and its stages by name, on one device.

    `overrides` are options of the prior, such as its guidance. `UserError` where the
    folder holds no run, or one that is not finished.
    """
    config = workdir.read(directory)
    config["prior"] = {**config["prior"], **overrides}
    run = build(config, num_samples)
    batch = first_batch(open_examples(run.task, run.regeneration, "train"), 2)
    return run, {
        stage.name: load(stage, run.train[stage.name], directory, batch)
        for stage in run.stages
    }
