"""The training loop, one for every stage.

A run starts from its own newest checkpoint if there is one, else from another run's
finished stage (`init_from`), else from scratch. Each turn is: save (state and data
iterator), report, next batch, step. A step is saved before it is reported, and a run
that is asked to stop saves before it does.
"""

import contextlib
import dataclasses
import functools
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import grain
import jax
import numpy as np

from regen_jax import paths
from regen_jax.errors import UserError
from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.checkpoint import CheckpointOptions, Checkpoints
from regen_jax.training.inspect.flops import model_flops
from regen_jax.training.inspect.profile import ProfileOptions, Profiler
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.strategies import Strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.progress import Pace, Progress
from regen_jax.training.reports import Reports
from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions, Tree
from regen_jax.training.step import TrainState, create, train_step


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How often the loop looks up, in steps.

    Attributes:
      seed: of everything random.
      log_every: scalars, the progress bar, and the check that losses are finite.
      evaluate_every: reports on held-out data; also made after the last step.
      checkpoint: how often to save, beside the steps of reports, and how many to keep.
      profile: which steps to record.
    """

    seed: int = 0
    log_every: int = 50
    evaluate_every: int = 500
    checkpoint: CheckpointOptions = dataclasses.field(default_factory=CheckpointOptions)
    profile: ProfileOptions = dataclasses.field(default_factory=ProfileOptions)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A finished stage: variables with averaged weights, and what they took.

    Reports are not counted in the seconds.
    """

    variables: Tree
    seconds: float
    steps: int


def train(
    stage: Stage,
    options: StageOptions,
    loop: LoopOptions,
    strategy: Strategy,
    workdir: Path,
    frozen: Frozen,
    first_batch: Batch,
    batches: Callable[[], grain.DatasetIterator],
    preemption: Preemption,
) -> Trained:
    """Trains a stage to its last step, or goes on where an earlier run stopped.

    `first_batch`, on the host, sets shapes and data-dependent starts; `batches` makes
    the iterator of this process's training batches from its beginning. Raises
    `Preempted` where the run was told to stop.
    """
    rng = stage_rng(loop.seed, stage.name)
    init = functools.partial(create, stage, options, rng, first_batch)
    shapes = jax.eval_shape(init)
    folder = workdir / stage.name
    with contextlib.closing(
        Checkpoints(workdir, stage.name, loop.checkpoint)
    ) as checkpoints:
        state, seconds, iterator = _start(
            stage, options, strategy, checkpoints, init, shapes, batches
        )
        reports = Reports(stage, strategy, frozen, folder)
        start = int(state.step)
        if options.init_from:
            return Trained(state.averaged, seconds, start)
        owed = reports.owed(start)
        if start == options.steps and not owed:
            return Trained(state.averaged, seconds, start)
        checkpoints.set_aside_after(start)

        state = strategy.spread(state)
        step_fn = strategy.compile(
            functools.partial(train_step, stage, options), shapes
        )
        frozen_everywhere = strategy.spread(frozen)
        pace = Pace(options.batch_size, model_flops(stage, shapes, frozen, first_batch))
        began = time.perf_counter() - seconds
        unchecked = []
        again = start if owed else start + 1
        with (
            SummaryWriter(folder, again, enabled=processes.first()) as summaries,
            Progress(stage.name, start, options.steps) as progress,
            contextlib.closing(
                Profiler(folder, loop.profile, enabled=processes.first())
            ) as profiler,
            preemption.deferred(),
        ):
            if owed:
                reports.resume(start, summaries)
            for step in range(start, options.steps + 1):
                last = step == options.steps
                stopping = preemption.due(step)

                def due(every: int, step: int = step, last: bool = last) -> bool:
                    return step > start and (last or step % every == 0)

                logging = due(loop.log_every)
                reporting = due(loop.evaluate_every)
                saving = reporting or due(loop.checkpoint.every)
                saving = saving or (stopping and step > start)
                if logging or saving:
                    scalars = _checked(stage.name, step, unchecked)
                    unchecked = []
                logged = {}
                if logging:
                    scalars |= pace.read(step)
                    logged = {f"train/{k}": v for k, v in scalars.items()}
                    summaries.write_scalars(step, logged)
                    progress.show(step, scalars)
                if reporting:
                    reports.owe(step, logged)
                if saving:
                    seconds = time.perf_counter() - began
                    # A run that goes on from here does not write them again.
                    summaries.flush()
                    checkpoints.save(strategy.stored(state), seconds, iterator)
                    pace.pause(step)
                if stopping:
                    checkpoints.finish()
                    raise Preempted
                if reporting or (owed and step == start):
                    # On disk, whatever the report does to this process.
                    checkpoints.finish()
                    paused = time.perf_counter()
                    if not reports.make(step, state, summaries, progress, preemption):
                        raise Preempted
                    began += time.perf_counter() - paused
                    if step > start:
                        pace.pause(step)
                if not last:
                    with profiler.step(step):
                        batch = strategy.batch(next(iterator))
                        state, metrics = step_fn(state, frozen_everywhere, batch, rng)
                    profiler.after_step(metrics)
                    unchecked.append(metrics)
        checkpoints.finish()
        return Trained(strategy.stored(state).averaged, seconds, options.steps)


def _start(
    stage: Stage,
    options: StageOptions,
    strategy: Strategy,
    checkpoints: Checkpoints,
    init: Callable[[], TrainState],
    shapes: TrainState,
    batches: Callable[[], grain.DatasetIterator],
) -> tuple[TrainState, float, grain.DatasetIterator | None]:
    """Returns the state to continue from, its seconds, and the iterator at its place.

    It is the newest checkpoint, a copy of another run's stage (without an iterator, as
    it trains no more), or a new state of those `shapes`, made by `init`.
    """
    abstract = strategy.abstract(shapes)
    if options.init_from and checkpoints.latest is None:
        where = f"config.train.{stage.name}.init_from"
        _take(paths.storable(options.init_from, where), checkpoints, abstract)
    iterator = None if options.init_from else batches()
    state, seconds = checkpoints.restore(abstract, iterator) or (None, 0.0)
    return strategy.create(init) if state is None else state, seconds, iterator


def stage_rng(seed: int, name: str) -> jax.Array:
    """A stage's own random key: stages may be added without changing the others."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def load(
    stage: Stage, options: StageOptions, workdir: Path, first_batch: Batch
) -> Trained:
    """A stage that an earlier run trained to its end; `UserError` where none did."""
    init = functools.partial(create, stage, options, jax.random.key(0), first_batch)
    checkpoints = Checkpoints(workdir, stage.name, CheckpointOptions())
    found, seconds = checkpoints.restore(jax.eval_shape(init)) or (None, 0)
    checkpoints.close()
    if found is None or (found.step < options.steps and not options.init_from):
        taken = 0 if found is None else int(found.step)
        raise UserError(
            f"stage '{stage.name}' in {workdir} has {taken} of {options.steps} steps: "
            f"finish it with python -m regen_jax.train --workdir={workdir} and its config"
        )
    return Trained(found.averaged, seconds, int(found.step))


def _take(source: Path, checkpoints: Checkpoints, abstract: TrainState) -> None:
    """Copies the newest checkpoint of a stage from another run."""
    stage = checkpoints.stage
    with contextlib.closing(Checkpoints(source, stage, checkpoints.options)) as other:
        found, newest = other.restore(abstract), other.latest
    if found is None or int(found[0].step) < newest:
        what = "has no checkpoint" if found is None else "cannot give the last step"
        raise UserError(
            f"config.train.{stage}.init_from: {source} {what} of stage '{stage}'"
        )
    checkpoints.save(*found)
    checkpoints.finish()


def _checked(stage: str, step: int, unchecked: list) -> dict[str, float]:
    """The newest metrics; `UserError` where a loss or gradient is not finite."""
    if not unchecked:
        return {}
    values = jax.device_get(unchecked)
    first = step - len(values) + 1
    for number, metrics in enumerate(values, first):
        if not np.isfinite(metrics["loss"]) or not np.isfinite(metrics["grad_norm"]):
            raise UserError(
                f"stage '{stage}': loss {metrics['loss']} and gradient norm "
                f"{metrics['grad_norm']} at step {number}, found when checking steps "
                f"{first} to {step}; the last good checkpoint is kept: lower "
                f"config.train.{stage}.learning_rate or clip_norm"
            )
    return {name: float(value) for name, value in values[-1].items()}
