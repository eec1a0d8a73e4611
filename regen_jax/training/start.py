"""Where a stage starts: from its own checkpoint, another run's stage, or from scratch."""

import contextlib
import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import grain
import jax

from regen_jax import paths
from regen_jax.errors import UserError
from regen_jax.training.checkpoint import CheckpointOptions, Checkpoints
from regen_jax.training.named_leaves import Tree
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions
from regen_jax.training.step import TrainState, create


class TrainedStage(NamedTuple):
    """A finished stage.

    Attributes:
      variables: with averaged parameters.
      seconds: of training, without reports.
      steps: that were trained.
    """

    variables: Tree
    seconds: float
    steps: int


class Start(NamedTuple):
    """What training continues from.

    Attributes:
      state: in the layout of checkpoints.
      seconds: of training before.
      iterator: of training batches, at its position; None if the stage trains no more.
      is_new: whether nothing of the stage is saved.
    """

    state: TrainState
    seconds: float
    iterator: grain.DatasetIterator | None
    is_new: bool


def start_stage(
    stage: Stage,
    options: StageOptions,
    strategy: Strategy,
    checkpoints: Checkpoints,
    init: Callable[..., TrainState],
    frozen: Frozen,
    batches: Callable[[], grain.DatasetIterator],
) -> Start:
    """Returns the newest checkpoint, a copy of another run's stage, or a new state.

    Args:
      stage: the stage to train.
      options: of the stage; `init_from` names the other run.
      strategy: places the state.
      checkpoints: of the stage in this run.
      init: makes a new state from what `Stage.pretrained` returns.
      frozen: variables of finished stages, in the layout of checkpoints.
      batches: makes the iterator of training batches, at its beginning.

    Raises:
      UserError: no checkpoint can be read, or the other run has none.
    """
    abstract = strategy.abstract_checkpoint(jax.eval_shape(init))
    if options.init_from and checkpoints.latest is None:
        where = f"config.train.{stage.name}.init_from"
        source = paths.storable(options.init_from, where)
        import_stage(source, checkpoints, abstract)
    iterator = None if options.init_from else batches()
    restored = checkpoints.restore(abstract, iterator)
    if restored is None:
        # Without an argument, `init` is not traced again: its shapes are known.
        pretrained: tuple[Tree, ...] = ()
        if stage.pretrained is not None:
            own_copy = jax.device_get(strategy.to_host_copy(frozen))
            pretrained = (stage.pretrained(own_copy),)
        state = strategy.create(init, *pretrained)
        return Start(state, 0.0, iterator, is_new=True)
    return Start(*restored, iterator, is_new=False)


def import_stage(source: Path, checkpoints: Checkpoints, abstract: TrainState) -> None:
    """Copies the last checkpoint of a stage from the run in `source`.

    Raises:
      UserError: it has none, or its last one is damaged.
    """
    stage = checkpoints.stage
    with contextlib.closing(Checkpoints(source, stage, checkpoints.options)) as other:
        restored, latest = other.restore(abstract), other.latest
    if restored is None or int(restored[0].step) != latest:
        lack = "has no checkpoint" if restored is None else "cannot give the last step"
        raise UserError(
            f"config.train.{stage}.init_from: {source} {lack} of stage '{stage}'"
        )
    checkpoints.save(*restored)
    checkpoints.finish()


def load_stage(
    stage: Stage, options: StageOptions, workdir: Path, first_batch: Batch
) -> TrainedStage:
    """Reads a stage that an earlier run trained to its end, onto one device.

    Raises:
      UserError: it is not finished.
    """
    init = functools.partial(create, stage, options, jax.random.key(0), first_batch)
    checkpoints = Checkpoints(workdir, stage.name, CheckpointOptions())
    with contextlib.closing(checkpoints):
        restored = checkpoints.restore(jax.eval_shape(init))
    steps = 0 if restored is None else int(restored[0].step)
    if restored is None or (steps < options.steps and not options.init_from):
        raise UserError(
            f"stage '{stage.name}' in {workdir} has {steps} of {options.steps} steps: "
            f"finish it with {paths.train_command(workdir)} and its config"
        )
    state, seconds = restored
    return TrainedStage(state.averaged, seconds, steps)


def stage_rng(seed: int, name: str) -> jax.Array:
    """Returns the random key of a stage, by its name and the seed alone."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
