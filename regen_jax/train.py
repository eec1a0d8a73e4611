"""Trains every stage of a config: python -m regen_jax.train --config=… --workdir=…"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regen_jax import commands, workdir
from regen_jax.build import build
from regen_jax.data.annotated import open_examples
from regen_jax.data.pipeline import (
    check_batch_size,
    first_batch,
    share,
    training_batches,
)
from regen_jax.options import plain
from regen_jax.training.loop import Trained, train
from regen_jax.training.parallel import check_batch, make_strategy
from regen_jax.training.summaries import Summaries, markdown_json

CONFIG = commands.define_config()

logger = logging.getLogger("regen_jax")


def train_all(config: Mapping[str, Any], directory: Path) -> dict[str, Trained]:
    """Trains the stages one after another; finished ones are only read.

    Returns them by name. `UserError` for anything wrong with the config or the folder,
    before anything is compiled or written.
    """
    run = build(config)
    examples = open_examples(run.task, run.regeneration, "train")
    strategy = make_strategy(run.parallel)
    for name, options in run.train.items():
        check_batch(
            f"config.train.{name}", options.batch_size, options.accumulate, strategy
        )
        check_batch_size(share(examples, options.share, 0), options.batch_size)
        if options.init_from:
            workdir.check_same_part(Path(options.init_from), config, name)
    workdir.claim(directory, config)
    with Summaries(directory) as summaries:
        summaries.text(0, {"config": markdown_json(plain(config))})

    trained: dict[str, Trained] = {}
    for stage in run.stages:
        options = run.train[stage.name]
        trained[stage.name] = train(
            stage,
            options,
            run.loop,
            strategy,
            directory,
            {name: other.variables for name, other in trained.items()},
            first_batch(examples, options.batch_size),
            lambda options=options: training_batches(
                share(examples, options.share, run.loop.seed),
                options.batch_size,
                run.loop.seed,
            ),
        )
    return trained


def main() -> None:
    """The command."""
    directory = commands.workdir()
    for name, trained in train_all(commands.given(CONFIG), directory).items():
        logger.info("stage %s: trained in %.0f s", name, trained.seconds)
    logger.info("next: python -m regen_jax.sample --workdir=%s", directory)


if __name__ == "__main__":
    commands.run(main)
