"""Trains every stage of a config: python -m regen_jax.train --config=… --workdir=…

The same command goes on where an earlier run stopped. Started by `launch.local`, Slurm,
Open MPI or on several TPU hosts, its processes train one run together.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from regen_jax import paths
from regen_jax.cli import commands, workdir
from regen_jax.cli.dry_run import preview
from regen_jax.config.build import Run, build
from regen_jax.config.registry import to_plain_dict
from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import check_batch_size, first_batch, training_batches
from regen_jax.errors import UserError
from regen_jax.media.tensorboard import SummaryWriter, markdown_json
from regen_jax.training.loop import Trained, train
from regen_jax.training.parallel import processes
from regen_jax.training.parallel.strategies import Strategy, check_batch, make_strategy
from regen_jax.training.preemption import Preemption

CONFIG = commands.define_config()
STOP_AFTER = flags.DEFINE_string("stop_after", None, "the last stage to train")
COMPILE_ONLY = flags.DEFINE_bool(
    "compile_only", False, "print parameters, FLOPs and memory of each stage"
)

logger = logging.getLogger("regen_jax")


def train_all(
    config: Mapping[str, Any], directory: Path, stop_after: str | None = None
) -> dict[str, Trained]:
    """Trains the stages one after another; finished ones are only read.

    Returns them by name. `UserError` for anything wrong with the config or the folder,
    before anything is compiled or written. `Preempted` where the run was told to stop.
    """
    directory = paths.storable(directory, "--workdir")
    run = build(config)
    if stop_after not in (None, *run.train):
        raise UserError(
            f"--stop_after={stop_after}: no such stage; there are {', '.join(run.train)}"
        )
    strategy = checked_strategy(run)
    workdir.check_taken_together({n: o.init_from for n, o in run.train.items()})
    examples = {name: run.examples(name) for name in run.train}
    open_examples(run.task, run.regeneration, "validation")
    for name, options in run.train.items():
        check_batch_size(examples[name], options.batch_size)
        # The other run is not needed any more where there is a copy.
        if options.init_from and workdir.latest_step(directory, name) is None:
            free = getattr(getattr(run.regeneration, name, None), "sampling", ())
            source = paths.storable(options.init_from, f"config.train.{name}.init_from")
            workdir.check_source(source, config, name, free)

    trained: dict[str, Trained] = {}
    with Preemption() as preemption, _claimed(directory, config):
        for stage in run.stages:
            options = run.train[stage.name]
            trained[stage.name] = train(
                stage,
                options,
                run.loop,
                strategy,
                directory,
                {name: other.variables for name, other in trained.items()},
                first_batch(examples[stage.name], options.batch_size),
                lambda options=options, stage=stage: training_batches(
                    examples[stage.name],
                    options.batch_size,
                    run.loop.seed,
                    rows=strategy.rows(options.batch_size),
                ),
                preemption,
            )
            if stage.name == stop_after:
                break
    return trained


def checked_strategy(run: Run) -> Strategy:
    """How the run lies on the devices; `UserError` where it does not fit them."""
    strategy = make_strategy(run.parallel)
    for name, options in run.train.items():
        check_batch(
            f"config.train.{name}", options.batch_size, options.accumulate, strategy
        )
    return strategy


@contextlib.contextmanager
def _claimed(directory: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """The folder, held by the first process for all of them."""
    with contextlib.ExitStack() as held:
        with processes.together():
            if processes.first():
                held.enter_context(workdir.claimed(directory, config))
                with SummaryWriter(directory) as summaries:
                    summaries.write_texts(
                        0, {"config": markdown_json(to_plain_dict(config))}
                    )
        yield


def main() -> None:
    """The command."""
    directory = None if COMPILE_ONLY.value else commands.workdir()
    commands.start_processes()
    config = commands.given(CONFIG)
    if directory is None:
        run = build(config)
        preview(run, checked_strategy(run))
        return
    trained = train_all(config, directory, STOP_AFTER.value)
    for name, stage in trained.items():
        logger.info("stage %s: trained in %.0f s", name, stage.seconds)
    logger.info("next: python -m regen_jax.sample --workdir=%s", directory)


if __name__ == "__main__":
    commands.run(main)
