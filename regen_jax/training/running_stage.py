"""A stage while it trains: what the loop does with it at a step."""

import dataclasses
from collections.abc import Callable
from typing import Any

import grain
import jax
import numpy as np

from regen_jax.errors import UserError
from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.checkpoint import Checkpoints
from regen_jax.training.inspect.profile import Profiler
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.preemption import Preemption
from regen_jax.training.progress import Progress, StepTimer, Stopwatch
from regen_jax.training.reports import Reports
from regen_jax.training.stage import Frozen
from regen_jax.training.step import TrainState


@dataclasses.dataclass
class RunningStage:
    """The state of a stage on the devices, and where its results go.

    Attributes:
      name: of the stage.
      strategy: of the run.
      step_fn: the compiled step.
      state: in the layout of steps.
      frozen: variables of finished stages, in the layout of steps.
      rng: key of the stage.
      batches: iterator of this process's training batches.
      seconds: of training, at the last save.
      stopwatch: of training.
    """

    name: str
    strategy: Strategy
    step_fn: Callable[..., tuple[TrainState, dict[str, jax.Array]]]
    state: TrainState
    frozen: Frozen
    rng: jax.Array
    batches: grain.DatasetIterator
    seconds: float
    checkpoints: Checkpoints
    reports: Reports
    summaries: SummaryWriter
    progress: Progress
    profiler: Profiler
    timer: StepTimer
    stopwatch: Stopwatch
    _unchecked: list[Any] = dataclasses.field(default_factory=list)

    def take_step(self, step: int) -> None:
        """Trains on the next batch; `step` counts the steps before it."""
        with self.profiler.step(step):
            batch = self.strategy.shard_batch(next(self.batches))
            self.state, metrics = self.step_fn(self.state, self.frozen, batch, self.rng)
        self.profiler.after_step(metrics)
        self._unchecked.append(metrics)

    def check(self, step: int) -> dict[str, float]:
        """Checks the metrics of all steps since the last check; returns the newest.

        Raises:
          UserError: the loss or gradient of a step since the last check is not finite.
        """
        values, self._unchecked = jax.device_get(self._unchecked), []
        first = step - len(values) + 1
        for number, metrics in enumerate(values, first):
            if not np.isfinite([metrics["loss"], metrics["grad_norm"]]).all():
                where = f"config.train.{self.name}"
                raise UserError(
                    f"stage '{self.name}': loss {metrics['loss']} and gradient norm "
                    f"{metrics['grad_norm']} at step {number}, found when checking steps "
                    f"{first} to {step}; the last good checkpoint is kept: lower {where}"
                    f".schedule.learning_rate or {where}.optimizer.clip_norm"
                )
        return {name: float(value) for name, value in values[-1].items()}

    def log(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        """Logs metrics and speed, and returns them as they are in TensorBoard."""
        scalars = metrics | self.timer.read(step)
        logged = {f"train/{name}": value for name, value in scalars.items()}
        self.summaries.write_scalars(step, logged)
        self.progress.show(step, scalars)
        return logged

    def save(self, step: int) -> None:
        """Starts to save the state and the position of the iterator."""
        self.seconds = self.stopwatch.seconds
        # A run that goes on from here does not log the same scalars again.
        self.summaries.flush()
        state = self.strategy.to_checkpoint_layout(self.state)
        self.checkpoints.save(state, self.seconds, self.batches)
        self.timer.restart(step)

    def report(self, step: int, preemption: Preemption) -> None:
        """Reports on the state once it is on disk, whatever this does to the process.

        Raises:
          Preempted: the run was asked to stop; the report stays pending.
        """
        self.checkpoints.finish()
        with self.stopwatch.paused():
            self.reports.run(
                step, self.state, self.summaries, self.progress, preemption
            )
        self.timer.skip(step)
