"""What is checked of a run before its workdir is written and anything compiled."""

import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from regen_jax import paths
from regen_jax.cli import workdir
from regen_jax.cli.load_run import blank_batch
from regen_jax.cli.own_parts import check_own_parts
from regen_jax.config.build import Run
from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import DataSource, check_batch_size, evaluation_batches
from regen_jax.interfaces import Passes, Variables
from regen_jax.training.checkpoint import Checkpoints
from regen_jax.training.step import create


def check_training(
    run: Run,
    config: Mapping[str, Any],
    directory: Path,
    examples: Mapping[str, DataSource],
) -> None:
    """Checks data, stages of other runs, and the states that training starts from.

    Args:
      run: what is to be trained.
      config: of the run.
      directory: the workdir.
      examples: what each stage trains on.

    Raises:
      UserError: a split is missing, a batch is larger than its data, the data do not suit
        a stage, or a stage of another run does not fit.
    """
    open_examples(run.task, run.regeneration, "validation")
    # Nothing reads it before `evaluate`, which would be late to say that there is none.
    run.task.examples("test")
    for name, options in run.train.items():
        if not options.init_from:
            where = f"config.train.{name}.batch_size"
            check_batch_size(examples[name], options.batch_size, where)
        # Where there is a copy already, the other run may be gone.
        elif workdir.latest_step(directory, name) is None:
            part = getattr(run.regeneration, name, None)
            sampling = getattr(part, "sampling", ())
            source = paths.storable(options.init_from, f"config.train.{name}.init_from")
            workdir.check_source(source, config, name, sampling, options.steps > 0)
    check_own_parts(run, config)
    _check_states(run, directory)
    for stage in run.stages:
        options = run.train[stage.name]
        if not options.init_from:
            one_pass = functools.partial(
                evaluation_batches, examples[stage.name], options.batch_size
            )
            stage.check_data(Passes(one_pass))


def _check_states(run: Run, directory: Path) -> None:
    """Raises a UserError where the state of a new stage cannot be made or taken."""
    new = [n for n in run.train if workdir.latest_step(directory, n) is None]
    if not new:
        return
    batch = blank_batch(run.task, run.regeneration)
    shapes: dict[str, Variables] = {}
    for stage in run.stages:
        options = run.train[stage.name]
        init = functools.partial(create, stage, options, jax.random.key(0), batch)
        state = jax.eval_shape(init)
        if stage.name in new and options.init_from:
            where = f"config.train.{stage.name}.init_from"
            source = paths.storable(options.init_from, where)
            taken = Checkpoints(source, stage.name, run.loop.checkpoint)
            with contextlib.closing(taken):
                taken.check_newest(state)
        elif stage.name in new and stage.pretrained is not None:
            stage.pretrained(shapes)
        shapes[stage.name] = state.variables
