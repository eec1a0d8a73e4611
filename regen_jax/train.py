"""Trains every stage of a config: python -m regen_jax.train --config=… --workdir=….

The same command resumes where an earlier run stopped. Started by `launch.local`, Slurm,
Open MPI or on several TPU hosts, its processes train one run together.
"""

import logging
import shlex

from absl import flags

from regen_jax.cli import commands
from regen_jax.cli.dry_run import preview
from regen_jax.cli.train_run import checked_strategy, train_run
from regen_jax.config.build import build

CONFIG = commands.define_config()
flags.declare_key_flag("workdir")
STOP_AFTER = flags.DEFINE_string("stop_after", None, "the last stage to train")
COMPILE_ONLY = flags.DEFINE_bool(
    "compile_only", False, "print parameters, FLOPs and memory of each stage"
)

logger = logging.getLogger("regen_jax")


def main() -> None:
    """Trains, or prints the costs of a step with --compile_only."""
    directory = None if COMPILE_ONLY.value else commands.workdir()
    commands.start_processes()
    config = commands.parsed_config(CONFIG)
    if directory is None:
        run = build(config)
        preview(run, checked_strategy(run))
        return
    trained = train_run(config, directory, STOP_AFTER.value)
    for name, stage in trained.items():
        logger.info("stage %s: trained in %.0f s", name, stage.seconds)
    quoted = shlex.quote(str(directory))
    logger.info("next: python -m regen_jax.sample --workdir=%s", quoted)


if __name__ == "__main__":
    commands.run(main)
