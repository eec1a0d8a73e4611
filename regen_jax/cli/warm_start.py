"""Stages that start with the parameters of a stage of another run."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax

from regen_jax import paths
from regen_jax.cli import stored_task, workdir
from regen_jax.cli.load_run import blank_batch
from regen_jax.config.build import Run, build
from regen_jax.errors import UserError
from regen_jax.interfaces import Variables
from regen_jax.spaces import Space
from regen_jax.training.named_leaves import first_difference, leaf_types
from regen_jax.training.stage import Frozen, Stage
from regen_jax.training.start import load_stage

logger = logging.getLogger("regen_jax")


def with_warm_starts(run: Run) -> Run:
    """Returns a run whose stages with `start_from` start as the options say.

    The other run is read only where a new state is made or checked. Options of a stage
    that differ there are logged: what parameters mean may depend on them.
    """

    def warm(stage: Stage) -> Stage:
        if not (folder := run.train[stage.name].start_from):
            return stage
        where = f"config.train.{stage.name}.start_from"
        source = paths.storable(folder, where)

        def pretrained(frozen: Frozen) -> Variables:
            own = {} if stage.pretrained is None else stage.pretrained(frozen)
            other = build(
                workdir.read(source, where),
                reports=False,
                info=stored_task.read_info(source),
            )
            taken = stage.start_from(_variables(other, source, stage.name, where))
            batch = blank_batch(run.task, run.regeneration)
            origin = f"{where}: stage '{stage.name}' in {source}"
            differing = _differing_options(other, run, stage.name)
            _check(stage, batch, taken, origin, differing)
            if differing:
                logger.warning("%s fits, but has other options: %s", origin, differing)
            return own | taken

        return dataclasses.replace(stage, pretrained=pretrained)

    return dataclasses.replace(run, stages=[warm(stage) for stage in run.stages])


def _variables(run: Run, source: Path, name: str, where: str) -> Variables:
    """Returns the variables of a finished stage of a run in a folder, on the host.

    Raises:
      UserError: there is no such stage, or it is not finished.
    """
    stages = {stage.name: stage for stage in run.stages}
    if name not in stages:
        known = ", ".join(stages)
        raise UserError(f"{where}: {source} has no stage '{name}': its are {known}")
    batch = blank_batch(run.task, run.regeneration)
    trained = load_stage(stages[name], run.train[name], source, batch)
    return jax.device_get(trained.variables)


def _differing_options(there: Run, here: Run, name: str) -> str:
    """Returns in words the options that the part of a stage has in both, but differ."""
    parts = [
        getattr(run.regeneration, name, None) or run.task.judges.get(name)
        for run in (there, here)
    ]
    old, new = map(_options, parts)
    return "; ".join(workdir.differences(_common(old, new), _common(new, old), name))


def _options(part: Any) -> dict[str, Any]:
    """Returns options of a part, and of those within it, but its spaces and its losses."""
    if not dataclasses.is_dataclass(part):
        return {}
    values = {
        field.name: getattr(part, field.name) for field in dataclasses.fields(part)
    }
    return {
        name: _options(value) if dataclasses.is_dataclass(value) else value
        for name, value in values.items()
        if name != "losses" and not isinstance(value, Space)
    }


def _common(section: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Returns what a section has of another one, as that may be of another class."""
    return {
        name: _common(value, other[name])
        if isinstance(value, dict) and isinstance(other[name], dict)
        else value
        for name, value in section.items()
        if name in other
    }


def _check(
    stage: Stage, batch: Variables, taken: Variables, origin: str, differing: str
) -> None:
    """Raises a UserError where collections have other arrays than those of a new state."""
    new = jax.eval_shape(stage.init, jax.random.key(0), batch)
    new = {name: new.get(name, {}) for name in taken}
    # Parts that the stage does not take, such as discriminators, stay new.
    new["params"] = {k: v for k, v in new["params"].items() if k in taken["params"]}
    if difference := first_difference(leaf_types(taken), leaf_types(new)):
        options = f"; options differ: {differing}" if differing else ""
        raise UserError(f"{origin} does not fit: {difference}{options}")
