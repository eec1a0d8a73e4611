"""Training of a run, stage by stage."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regen_jax import paths
from regen_jax.cli import stored_task, workdir
from regen_jax.cli.training_checks import check_training
from regen_jax.cli.warm_start import with_warm_starts
from regen_jax.config.build import Run, build
from regen_jax.config.registry import to_plain_dict
from regen_jax.data.pipeline import (
    DataSource,
    evaluation_batches,
    first_batch,
    training_batches,
)
from regen_jax.errors import UserError
from regen_jax.media import markdown
from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.loop import StageData, train
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.strategies import check_batch, make_strategy
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.preemption import Preemption
from regen_jax.training.stage import StageOptions
from regen_jax.training.start import TrainedStage


def train_run(
    config: Mapping[str, Any], directory: str | Path, stop_after: str | None = None
) -> dict[str, TrainedStage]:
    """Trains the stages of a config one after another; finished ones are only read.

    A run that was stopped resumes where its last checkpoint is.

    Args:
      config: its sections, such as what `get_config` of a config file returns.
      directory: the workdir.
      stop_after: the last stage to train; None for all.

    Returns:
      The stages by name, with averaged weights.

    Raises:
      UserError: anything wrong with the config or the folder, before anything is compiled
        or written.
      Preempted: the run was asked to stop, and saved.
    """
    directory = paths.storable(directory, "--workdir")
    run = with_warm_starts(build(config))
    if stop_after not in (None, *run.train):
        raise UserError(
            f"--stop_after={stop_after}: no such stage; there are {', '.join(run.train)}"
        )
    strategy = checked_strategy(run)
    workdir.check_taken_together({n: o.init_from for n, o in run.train.items()})
    examples = {name: run.examples(name) for name in run.train}
    check_training(run, config, directory, examples)

    trained: dict[str, TrainedStage] = {}
    with Preemption() as preemption, _locked(directory, config, run):
        for stage in run.stages:
            options = run.train[stage.name]
            trained[stage.name] = train(
                stage,
                options,
                run.loop,
                strategy,
                directory,
                {name: other.variables for name, other in trained.items()},
                _stage_data(examples[stage.name], options, run.loop.seed, strategy),
                preemption,
            )
            if stage.name == stop_after:
                break
    return trained


def _stage_data(
    examples: DataSource, options: StageOptions, seed: int, strategy: Strategy
) -> StageData:
    """Returns what a stage trains on in this process."""
    size = options.batch_size
    return StageData(
        first_batch=first_batch(examples, size),
        batches=lambda: training_batches(
            examples, size, seed, rows=strategy.host_rows(size)
        ),
        one_pass=lambda: evaluation_batches(examples, size),
    )


def checked_strategy(run: Run) -> Strategy:
    """Returns how a run is split over the devices.

    Raises:
      UserError: batches or axes do not fit the number of devices.
    """
    strategy = make_strategy(run.parallel)
    for name, options in run.train.items():
        # A stage that is taken from another run draws no batch.
        if not options.init_from:
            where = f"config.train.{name}"
            check_batch(where, options.batch_size, options.accumulate, strategy)
    return strategy


@contextlib.contextmanager
def _locked(directory: Path, config: Mapping[str, Any], run: Run) -> Iterator[None]:
    """Locks the workdir, in the main process for all of them."""
    with contextlib.ExitStack() as held:
        with processes.synchronized():
            if processes.is_main():
                held.enter_context(workdir.locked(directory, config))
                stored_task.write(run, directory)
                with SummaryWriter(directory) as summaries:
                    summaries.write_texts(
                        0, {"config": markdown.json_block(to_plain_dict(config))}
                    )
        yield
