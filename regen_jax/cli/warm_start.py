"""Stages that start with the parameters of a stage of another run."""

import dataclasses
from pathlib import Path

import jax

from regen_jax import paths
from regen_jax.cli import stored_task, workdir
from regen_jax.cli.load_run import blank_batch
from regen_jax.config.build import Run, build
from regen_jax.errors import UserError
from regen_jax.interfaces import Variables
from regen_jax.training.named_leaves import first_difference, leaf_types
from regen_jax.training.stage import Frozen, Stage
from regen_jax.training.start import load_stage


def with_warm_starts(run: Run) -> Run:
    """Returns a run whose stages with `start_from` start as the options say.

    The other run is read only where a new state is made or checked.
    """

    def warm(stage: Stage) -> Stage:
        if not (folder := run.train[stage.name].start_from):
            return stage
        where = f"config.train.{stage.name}.start_from"
        source = paths.storable(folder, where)

        def pretrained(frozen: Frozen) -> Variables:
            own = {} if stage.pretrained is None else stage.pretrained(frozen)
            taken = stage.start_from(_variables(source, stage.name, where))
            batch = blank_batch(run.task, run.regeneration)
            _check(stage, batch, taken, f"{where}: stage '{stage.name}' in {source}")
            return own | taken

        return dataclasses.replace(stage, pretrained=pretrained)

    return dataclasses.replace(run, stages=[warm(stage) for stage in run.stages])


def _variables(source: Path, name: str, where: str) -> Variables:
    """Returns the variables of a finished stage of the run in a folder, on the host.

    Raises:
      UserError: there is no such stage, or it is not finished.
    """
    config, info = workdir.read(source, where), stored_task.read_info(source)
    run = build(config, reports=False, info=info)
    stages = {stage.name: stage for stage in run.stages}
    if name not in stages:
        known = ", ".join(stages)
        raise UserError(f"{where}: {source} has no stage '{name}': its are {known}")
    batch = blank_batch(run.task, run.regeneration)
    trained = load_stage(stages[name], run.train[name], source, batch)
    return jax.device_get(trained.variables)


def _check(stage: Stage, batch: Variables, taken: Variables, origin: str) -> None:
    """Raises a UserError where collections have other arrays than those of a new state."""
    new = jax.eval_shape(stage.init, jax.random.key(0), batch)
    new = {name: new.get(name, {}) for name in taken}
    # Parts that the stage does not take, such as discriminators, stay new.
    new["params"] = {k: v for k, v in new["params"].items() if k in taken["params"]}
    if difference := first_difference(leaf_types(taken), leaf_types(new)):
        raise UserError(f"{origin} does not fit: {difference}")
