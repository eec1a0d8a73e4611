"""Evaluates a trained run.

    python -m regen_jax.evaluate --workdir=… [--split=validation]

Prints its metrics, and keeps them in the workdir.
"""

import sys

from absl import flags

from regen_jax.cli import commands, workdir
from regen_jax.cli.evaluate_run import evaluate_run

flags.declare_key_flag("workdir")
SPLIT = flags.DEFINE_enum(
    "split", "test", list(workdir.METRICS), "held-out examples to report on"
)


def main() -> None:
    """Prints the metrics as a table; exits with 1 where an evaluator raised."""
    metrics, failed = evaluate_run(commands.workdir(), SPLIT.value)
    width = max(map(len, metrics))
    for name, value in metrics.items():
        print(f"{name:<{width}}  {value:.4g}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    commands.run(main)
