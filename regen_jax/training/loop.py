"""The training loop, one for every stage.

A run starts from its own newest checkpoint if there is one, else from another run's
finished stage (`init_from`), else from scratch. Each turn is: save (state and data
iterator), report, next batch, step. A step is saved before it is reported, and a run
that is asked to stop saves before it does. After the last step a stage may compute more
(`Stage.finalize`), which is saved with it: a run that ends before goes on from an earlier
checkpoint, and computes it then. A stage that takes no steps is computed in this way alone.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import grain
import jax

from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.checkpoint import CheckpointOptions, Checkpoints
from regen_jax.training.finalize import finalize
from regen_jax.training.inspect.flops import model_flops
from regen_jax.training.inspect.profile import ProfileOptions, Profiler
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.preemption import Preempted, Preemption
from regen_jax.training.progress import Progress, StepTimer, Stopwatch
from regen_jax.training.reports import Reports
from regen_jax.training.running_stage import RunningStage
from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions
from regen_jax.training.start import TrainedStage, stage_rng, start_stage
from regen_jax.training.step import TrainState, create, train_step


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How often the loop does more than train, in steps.

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
class StageData:
    """What a stage trains on.

    Attributes:
      first_batch: on the host, for shapes and data-dependent starts.
      batches: makes the iterator of this process's training batches, at its beginning.
      one_pass: makes an iterator over all training examples, once, in order, in batches
        of which the last may be smaller.
    """

    first_batch: Batch
    batches: Callable[[], grain.DatasetIterator]
    one_pass: Callable[[], Iterator[Batch]]


def train(
    stage: Stage,
    options: StageOptions,
    loop: LoopOptions,
    strategy: Strategy,
    workdir: Path,
    frozen: Frozen,
    data: StageData,
    preemption: Preemption,
) -> TrainedStage:
    """Trains a stage to its last step, from where an earlier run stopped.

    Args:
      stage: to train.
      options: of the stage.
      loop: how often to log, report and save.
      strategy: how the state and batches are split over the devices.
      workdir: of the run; the stage's folder is in it.
      frozen: variables of finished stages by name, in the layout of checkpoints.
      data: that it trains on.
      preemption: whether the run is asked to stop.

    Raises:
      Preempted: the run was asked to stop; the stage is saved.
      UserError: no checkpoint can be read or saved, or a loss is not finite.
    """
    rng = stage_rng(loop.seed, stage.name)
    init = functools.partial(create, stage, options, rng, data.first_batch)
    folder = workdir / stage.name
    with contextlib.closing(
        Checkpoints(workdir, stage.name, loop.checkpoint)
    ) as checkpoints:
        state, seconds, batches, is_new = start_stage(
            stage, options, strategy, checkpoints, init, frozen, data.batches
        )
        start = int(state.step)
        if options.init_from:
            return TrainedStage(state.averaged, seconds, start)
        reports = Reports(stage, strategy, frozen, folder)
        report_pending = reports.pending(start)
        if start == options.steps and not (is_new or report_pending):
            return TrainedStage(state.averaged, seconds, start)
        checkpoints.quarantine_after(start)

        shapes = jax.eval_shape(init)
        # Laid out as in the step, whose trace then finds that of the same parts.
        flops = model_flops(stage, state, frozen, data.first_batch)
        step_fn = strategy.compile(
            functools.partial(train_step, stage, options), shapes
        )
        main = processes.is_main()
        with (
            SummaryWriter(folder, start + (not report_pending), main) as summaries,
            Progress(stage.name, start, options.steps) as progress,
            contextlib.closing(Profiler(folder, loop.profile, main)) as profiler,
            preemption.deferred(),
        ):
            running = RunningStage(
                name=stage.name,
                strategy=strategy,
                step_fn=step_fn,
                state=strategy.to_step_layout(state),
                frozen=strategy.to_step_layout(frozen),
                rng=rng,
                batches=batches,
                seconds=seconds,
                checkpoints=checkpoints,
                reports=reports,
                summaries=summaries,
                progress=progress,
                profiler=profiler,
                timer=StepTimer(options.batch_size, flops),
                stopwatch=Stopwatch(seconds),
            )
            if report_pending:
                reports.log_again(start, summaries)
            _take_steps(
                running,
                loop,
                range(start, options.steps),
                is_new,
                report_pending,
                preemption,
                lambda: finalize(stage, strategy, running.state, frozen, data.one_pass),
            )
        checkpoints.finish()
        stored = strategy.to_checkpoint_layout(running.state)
        return TrainedStage(stored.averaged, running.seconds, options.steps)


def _take_steps(
    running: RunningStage,
    loop: LoopOptions,
    steps: range,
    is_new: bool,
    report_pending: bool,
    preemption: Preemption,
    finalized: Callable[[], TrainState],
) -> None:
    """Takes the steps that are left; logs, saves and reports where that is due.

    Args:
      running: the stage, on the devices.
      loop: how often to do what.
      steps: from the number of steps that are taken to that of all.
      is_new: whether nothing of the stage is saved.
      report_pending: whether an earlier run owes the report of its last step.
      preemption: whether the run is asked to stop.
      finalized: returns the state after `Stage.finalize`.

    Raises:
      Preempted: the run was asked to stop; the stage is saved.
      UserError: a loss is not finite, or no checkpoint can be saved.
    """
    start, last = steps.start, steps.stop
    for step in range(start, last + 1):
        stopping = preemption.due(step)
        stepped = step > start
        # A new stage without steps is finished at its start, and not saved.
        unsaved = stepped or (is_new and step == last)
        due = _due(loop, step, last, stopping) if unsaved else _Due()
        if stepped and (due.log or due.save):
            metrics = running.check(step)
        logged = running.log(step, metrics) if stepped and due.log else {}
        if due.finalize:
            running.state = finalized()
        if due.report:
            running.reports.mark_pending(step, logged)
        if due.save:
            running.save(step)
        if stopping:
            running.checkpoints.finish()
            raise Preempted
        if due.report or (report_pending and step == start):
            running.report(step, preemption)
        if step < last:
            running.take_step(step)


class _Due(NamedTuple):
    log: bool = False
    finalize: bool = False
    report: bool = False
    save: bool = False


def _due(loop: LoopOptions, step: int, steps: int, stopping: bool) -> _Due:
    """Returns what is due after `step` steps, none of which an earlier run saved."""
    last = step == steps
    report = last or step % loop.evaluate_every == 0
    return _Due(
        log=last or step % loop.log_every == 0,
        finalize=last,
        report=report,
        save=report or stopping or step % loop.checkpoint.every == 0,
    )
