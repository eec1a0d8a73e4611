"""Judges a trained run: python -m regen_jax.evaluate --workdir=…"""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from regen_jax import commands, outputs, workdir
from regen_jax.build import Run, build
from regen_jax.data.annotated import as_batch, open_examples
from regen_jax.data.pipeline import evaluation_batches
from regen_jax.evaluation import sample
from regen_jax.interfaces import Variables
from regen_jax.restore import restore
from regen_jax.training.summaries import Summaries

logger = logging.getLogger("regen_jax")


def evaluate(directory: Path) -> dict[str, float]:
    """Every stage's figures on the test split, those of samples, and the yardstick.

    Also written to `metrics.json` in the folder, and to TensorBoard's HParams.
    """
    config = workdir.read(directory)
    workdir.check_output(directory / "metrics.json", directory=False, flag="")
    run = build(config, num_samples=config["evaluate"]["samples"])
    trained = restore(run, directory)
    variables = {name: stage.variables for name, stage in trained.items()}
    metrics = {}
    for stage in run.stages:
        report = stage.report(variables[stage.name], variables)
        metrics |= report.scalars
        if report.per_example and (columns := report.per_example()):
            outputs.write(outputs.path(directory, "test"), columns)
        metrics[f"train/{stage.name}_seconds"] = trained[stage.name].seconds
    examples = open_examples(run.task, run.regeneration, "test")
    (test,) = evaluation_batches(examples, len(examples))
    real = run.task.judging(variables)(test, run.task.restore(test["y"]))
    metrics |= {f"real/{name}": value for name, value in real.items()}
    metrics |= {f"samples/{k}": v for k, v in measure_pace(run, variables).items()}
    metrics["samples/number"] = run.num_samples
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    with Summaries(directory) as summaries:
        summaries.hparams(0, config, metrics)
    return metrics


def measure_pace(run: Run, variables: Mapping[str, Variables]) -> dict[str, float]:
    """Figures of how fast one batch of samples is drawn, compiled before."""
    number = min(run.evaluate.batch_size, run.num_samples)
    prompts = as_batch(run.task.prompts(number), run.regeneration)
    arguments = run.task, run.regeneration, variables, prompts, 0, number
    sample(*arguments)
    start = time.perf_counter()
    _, y = sample(*arguments)
    return run.task.pace(y, time.perf_counter() - start)


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
