"""Evaluates a trained run: python -m regen_jax.evaluate --workdir=… [--split=validation]"""

import functools
import json
import logging
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from regen_jax import paths
from regen_jax.cli import commands, workdir
from regen_jax.cli.load_run import restore
from regen_jax.config.build import Run, build
from regen_jax.config.registry import instantiate
from regen_jax.data.host_features import as_batch, open_examples
from regen_jax.data.pipeline import evaluation_batches, first_batch
from regen_jax.errors import UserError
from regen_jax.evaluation import outputs
from regen_jax.evaluation.evaluators import attempt, core_examples, finite, sample
from regen_jax.interfaces import Variables
from regen_jax.media.tensorboard import SummaryWriter
from regen_jax.training.inspect.flops import model_flops, num_parameters
from regen_jax.training.loop import Trained
from regen_jax.training.stage import StageOptions
from regen_jax.training.step import create

SPLIT = flags.DEFINE_enum(
    "split", "test", list(workdir.METRICS), "held-out examples to report on"
)

_ALONE = 3
"""Number of single examples over which the latency is averaged."""

logger = logging.getLogger("regen_jax")


def evaluate(
    directory: Path, split: str = "test"
) -> tuple[dict[str, float], list[str]]:
    """Computes all metrics of a run on a split, and the baseline of real examples.

    They are written to the split's file in the folder, as one flat object of strict
    JSON, and to TensorBoard's HParams, where names of `validation` metrics begin with
    `validation/`, so that they are not taken for those of `test`.

    Returns:
      The metrics by name, and the names of the evaluators that raised, whose metrics
      are missing.

    Raises:
      UserError: the run is not finished, or its data lack the split.
    """
    config = commands.config_of(directory)
    path = directory / workdir.METRICS[split]
    workdir.check_output(path, directory=False, flag="")
    run = build(config, split)
    examples = open_examples(run.task, run.regeneration, split)
    trained = restore(run, directory)
    variables = {name: stage.variables for name, stage in trained.items()}
    metrics: dict[str, float] = {}
    failed: list[str] = []
    for stage in run.stages:
        report = stage.report(variables[stage.name], variables)
        metrics |= report.scalars
        if report.per_example:
            with attempt("per_example", failed):
                if columns := report.per_example():
                    outputs.write(outputs.path(directory, split), columns)
        failed += report.failed
    with attempt("real", failed):
        metrics |= {f"real/{k}": v for k, v in real(run, variables, split).items()}
    with attempt("pace", failed):
        pace = measure_pace(run, variables, split)
        metrics |= {f"samples/{name}": value for name, value in pace.items()}
    with attempt("costs", failed):
        metrics |= training_costs(run, trained)
    core = run.task.core_list(split)
    metrics[f"{split}/too_long"] = len(core.too_long)
    drawn = metrics.get("samples/number", math.inf)
    if drawn < len(core.rows):
        logger.info(
            "samples on %d of %d examples that the core list of the %s split has here: "
            "config.evaluate.samples=0 takes all",
            *(drawn, len(core.rows), split),
        )
    if core.too_long:
        logger.info(
            "%d of %d examples of the core list are too long for config.data: each "
            "scores as an empty output, where a metric compares with its reference",
            *(len(core.too_long), len(core.too_long) + len(core.rows)),
        )
    metrics = finite(metrics)
    # Renamed once complete, so that a kill leaves no partial file.
    new = path.with_suffix(".new")
    new.write_text(json.dumps(metrics, indent=2, allow_nan=False) + "\n")
    new.rename(path)
    prefix = "" if split == "test" else f"{split}/"
    with SummaryWriter(directory) as summaries:
        summaries.write_hparams(0, config, {prefix + k: v for k, v in metrics.items()})
    logger.info("%s split, %d examples: written to %s", split, len(examples), path)
    return metrics, failed


def real(run: Run, variables: Mapping[str, Variables], split: str) -> dict[str, float]:
    """Returns the metrics of real Y of the core list, the baseline for samples."""
    examples = core_examples(run.task, run.regeneration, split)
    (batch,) = evaluation_batches(examples, len(examples))
    return run.task.sample_metrics(variables)(batch, run.task.postprocess(batch["y"]))


def measure_pace(
    run: Run, variables: Mapping[str, Variables], split: str
) -> dict[str, float]:
    """Returns the latency of single examples and the throughput of batches.

    Compilation is excluded. `latency_seconds` is a mean over some examples;
    `throughput_per_second` is examples per second in batches of `batch_size`.
    """
    most = run.evaluate.samples or run.evaluate.batch_size
    prompts = run.task.prompts(min(most, run.evaluate.batch_size), split)

    def timed(prompts: list) -> tuple[Any, float]:
        start = time.perf_counter()
        _, y = sample(
            *(run.task, run.regeneration, variables),
            *(as_batch(prompts, run.regeneration), 0, len(prompts)),
        )
        return y, time.perf_counter() - start

    timed(prompts[:1])
    singles = [timed([prompt]) for prompt in prompts[:_ALONE]]
    alone = jax.tree.map(lambda *ys: np.concatenate(ys), *(y for y, _ in singles))
    seconds = sum(seconds for _, seconds in singles)
    timed(prompts)
    y, batch_seconds = timed(prompts)
    latency = {"seconds": seconds / len(singles)} | run.task.speed_metrics(
        alone, seconds
    )
    throughput = {"per_second": len(prompts) / batch_seconds}
    throughput |= run.task.speed_metrics(y, batch_seconds)
    return {f"latency_{k}": v for k, v in latency.items()} | {
        f"throughput_{k}": v for k, v in throughput.items()
    }


def training_costs(run: Run, trained: Mapping[str, Trained]) -> dict[str, float]:
    """Returns parameters, FLOPs, steps and seconds of training, for fair comparisons.

    Those of a stage are `train/<stage>_…`; `train/parameters`, `train/flops` and
    `train/seconds` are sums over the stages of the pipeline, without judges. A stage
    taken from another run costs what it took there.
    """
    costs: dict[str, float] = {}
    frozen: dict[str, Variables] = {}
    for stage in run.stages:
        variables = trained[stage.name].variables
        options = _trained_with(stage.name, run.train[stage.name])
        batch = first_batch(run.examples(stage.name), options.batch_size)
        key = jax.random.key(0)
        shapes = jax.eval_shape(functools.partial(create, stage, options, key, batch))
        steps = trained[stage.name].steps
        costs |= {
            f"train/{stage.name}_parameters": num_parameters(variables["params"]),
            f"train/{stage.name}_flops": steps
            * model_flops(stage, shapes, frozen, batch),
            f"train/{stage.name}_steps": steps,
            f"train/{stage.name}_seconds": trained[stage.name].seconds,
        }
        frozen[stage.name] = variables
    pipeline = [stage.name for stage in run.stages if stage.name not in run.task.judges]
    return costs | {
        f"train/{cost}": sum(costs[f"train/{name}_{cost}"] for name in pipeline)
        for cost in ("parameters", "flops", "seconds")
    }


def _trained_with(stage: str, options: StageOptions) -> StageOptions:
    """Returns the options of the run that trained a stage, if its folder still exists."""
    # A run that was moved to where its source had been would lead to itself.
    visited: set[Path] = set()
    while options.init_from:
        try:
            source = paths.local(options.init_from, "init_from").resolve()
            if source in visited:
                break
            visited.add(source)
            section = workdir.read(source)["train"][stage]
            options = instantiate(StageOptions, section, f"config.train.{stage}")
        except (UserError, KeyError, OSError, RuntimeError):
            break
    return options


def main() -> None:
    """The command: prints the metrics as a table; 1 where an evaluator raised."""
    metrics, failed = evaluate(commands.workdir(), SPLIT.value)
    width = max(map(len, metrics))
    for name, value in metrics.items():
        print(f"{name:<{width}}  {value:.4g}")
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    commands.run(main)
