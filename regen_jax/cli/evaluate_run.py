"""All metrics of a finished run on a held-out split."""

import json
import logging
import math
from pathlib import Path

from regen_jax import files, paths, ranges
from regen_jax.cli import stored_task, workdir
from regen_jax.cli.load_run import load_run, read_config
from regen_jax.cli.training_costs import training_costs
from regen_jax.config.build import build
from regen_jax.data.host_features import as_batch
from regen_jax.data.pipeline import stack
from regen_jax.errors import UserError
from regen_jax.evaluation import outputs
from regen_jax.evaluation.evaluator import EvaluationData
from regen_jax.evaluation.rate import num_bits
from regen_jax.evaluation.reporter import attempt, finite
from regen_jax.evaluation.speed import sampling_speed
from regen_jax.interfaces import Generated, RunVariables, Variables
from regen_jax.media.tensorboard import SummaryWriter

logger = logging.getLogger("regen_jax")


def evaluate_run(
    directory: str | Path, split: str = "test"
) -> tuple[dict[str, float], list[str]]:
    """Computes all metrics of a run on a split, and the baselines.

    They are real examples, and rules of the task where it has any.

    They are written to the split's file in the folder, as one flat object of strict
    JSON, and to TensorBoard's HParams, where names of `validation` metrics begin with
    `validation/`, so that they are not taken for those of `test`.

    Returns:
      The metrics by name, and the names of the evaluators that raised, whose metrics
      are missing.

    Raises:
      UserError: there is no such split, the run is not finished, or its data lack the
        split.
    """
    directory = paths.local(directory, "--workdir")
    if split not in workdir.METRICS:
        splits = ranges.either(tuple(workdir.METRICS))
        raise UserError(f"split must be {splits}, not {split!r}")
    config = read_config(directory)
    path = directory / workdir.METRICS[split]
    workdir.check_output(path, directory=False, flag="")
    run = build(config, split, info=stored_task.read_info(directory))
    data = run.evaluation
    trained = load_run(run, directory)
    variables = {name: stage.variables for name, stage in trained.items()}
    metrics: dict[str, float] = {}
    bits = num_bits(run.regeneration.abstraction.output_space)
    if bits is not None:
        metrics["abstraction/bits"] = bits
    failed: list[str] = []
    frozen: dict[str, Variables] = {}
    for stage in run.stages:
        report = stage.report(variables[stage.name], frozen)
        frozen[stage.name] = variables[stage.name]
        metrics |= report.scalars
        if report.per_example:
            with attempt("per_example", failed):
                if columns := report.per_example():
                    outputs.write(outputs.path(directory, split), columns)
        failed += report.failed
    with attempt("real", failed):
        metrics |= {f"real/{k}": v for k, v in _real(data, variables).items()}
    with attempt("baselines", failed):
        rules = _baselines(data, variables)
        metrics |= {f"baseline/{name}": value for name, value in rules.items()}
    with attempt("speed", failed):
        speed = sampling_speed(data, variables)
        metrics |= {f"samples/{name}": value for name, value in speed.items()}
    with attempt("costs", failed):
        metrics |= training_costs(run, trained)
    core = run.task.core_list(split)
    metrics[f"{split}/too_long"] = len(core.too_long)
    drawn = metrics.get("samples/number", math.inf)
    if drawn < len(core.rows):
        logger.info(
            "drew %d samples, of %d examples in the core list of the %s split: "
            "config.evaluate.samples=0 draws one for each",
            *(drawn, len(core.rows), split),
        )
    if core.too_long:
        logger.info(
            "%d of %d examples of the core list are too long for config.data: each "
            "scores as an empty output, where a metric compares with its reference",
            *(len(core.too_long), len(core.too_long) + len(core.rows)),
        )
    metrics = finite(metrics)
    text = json.dumps(metrics, indent=2, allow_nan=False) + "\n"
    files.write_atomically(path, text)
    prefix = "" if split == "test" else f"{split}/"
    with SummaryWriter(directory) as summaries:
        summaries.write_hparams(0, config, {prefix + k: v for k, v in metrics.items()})
    logger.info("%s split, %d examples: written to %s", split, len(data.examples), path)
    return metrics, failed


def _real(data: EvaluationData, variables: RunVariables) -> dict[str, float]:
    """Returns the metrics of real Y, the baseline for samples."""
    examples = data.task.real_examples(data.split)
    batch = stack([{k: e[k] for k in ("x", "y") if k in e} for e in examples])
    y = data.task.postprocess(batch["y"])
    return data.task.sample_metrics(variables)(Generated(batch, y))


def _baselines(data: EvaluationData, variables: RunVariables) -> dict[str, float]:
    """Returns the metrics of the rules of the task, for the prompts of the samples."""
    if not data.task.baselines:
        return {}
    prompts = as_batch(
        data.task.prompts(data.num_samples, data.split), data.regeneration
    )
    sample_metrics = data.task.sample_metrics(variables)
    return {
        f"{name}_{metric}": value
        for name, rule in data.task.baselines.items()
        for metric, value in sample_metrics(Generated(prompts, rule(prompts))).items()
    }
