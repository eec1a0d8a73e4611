"""Judges a trained run: python -m regen_jax.evaluate --workdir=…"""

import json
import logging
from pathlib import Path

from regen_jax import commands, workdir
from regen_jax.data.pipeline import evaluation_batches
from regen_jax.restore import restore
from regen_jax.training.summaries import Summaries

logger = logging.getLogger("regen_jax")


def evaluate(directory: Path) -> dict[str, float]:
    """Every stage's figures on the test split, those of samples, and the yardstick.

    Also written to `metrics.json` in the folder, and to TensorBoard's HParams.
    """
    config = workdir.read(directory)
    run, trained = restore(directory, num_samples=config["evaluate"]["samples"])
    variables = {name: stage.variables for name, stage in trained.items()}
    metrics = {}
    for stage in run.stages:
        report = stage.report(variables[stage.name], variables)
        metrics |= report.scalars
        metrics[f"train/{stage.name}_seconds"] = trained[stage.name].seconds
    examples = run.task.examples("test")
    (test,) = evaluation_batches(examples, len(examples))
    real = run.task.judging(variables)(test["x"], test["y"])
    metrics |= {f"real/{name}": value for name, value in real.items()}
    metrics["samples/number"] = run.num_samples
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    with Summaries(directory) as summaries:
        summaries.hparams(0, config, metrics)
    return metrics


def main() -> None:
    """The command: prints the figures as a table."""
    directory = commands.workdir()
    metrics = evaluate(directory)
    width = max(map(len, metrics))
    for name, value in metrics.items():
        print(f"{name:<{width}}  {value:.4g}")
    logger.info("written to %s", directory / "metrics.json")


if __name__ == "__main__":
    commands.run(main)
