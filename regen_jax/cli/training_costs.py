"""Reads what the training of a finished run cost."""

import functools
from collections.abc import Mapping
from pathlib import Path

import jax

from regen_jax import paths
from regen_jax.cli import workdir
from regen_jax.cli.load_run import blank_batch
from regen_jax.config.build import Run
from regen_jax.config.registry import instantiate
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.interfaces import Variables
from regen_jax.training.inspect.flops import model_flops, num_parameters
from regen_jax.training.stage import StageOptions
from regen_jax.training.start import TrainedStage
from regen_jax.training.step import create


def training_costs(run: Run, trained: Mapping[str, TrainedStage]) -> dict[str, float]:
    """Returns parameters, FLOPs, steps and seconds of training, for fair comparisons.

    Those of a stage are `train/<stage>_…`; `train/parameters`, `train/flops` and
    `train/seconds` are sums over the stages of the pipeline, without judges; parameters
    that a later stage trains further count once. A stage taken from another run costs what
    it took there.
    """
    costs: dict[str, float] = {}
    frozen: dict[str, Variables] = {}
    blank = blank_batch(run.task, run.regeneration)
    for stage in run.stages:
        variables = trained[stage.name].variables
        options = _trained_with(stage.name, run.train[stage.name])
        batch = first_batch(run.examples(stage.name), options.batch_size)
        init = functools.partial(create, stage, options, jax.random.key(0))
        shapes = jax.eval_shape(init, blank)
        steps = trained[stage.name].steps
        costs |= {
            f"train/{stage.name}_parameters": num_parameters(variables["params"]),
            f"train/{stage.name}_flops": steps
            * model_flops(stage, shapes, frozen, batch),
            f"train/{stage.name}_steps": steps,
            f"train/{stage.name}_seconds": trained[stage.name].seconds,
        }
        frozen[stage.name] = variables
    pipeline = [stage for stage in run.stages if stage.name not in run.task.judges]
    new = [stage for stage in pipeline if not stage.continues]
    summed = {"parameters": new, "flops": pipeline, "seconds": pipeline}
    return costs | {
        f"train/{cost}": sum(costs[f"train/{stage.name}_{cost}"] for stage in stages)
        for cost, stages in summed.items()
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
            options = instantiate(type(options), section, f"config.train.{stage}")
        except (UserError, KeyError, OSError, RuntimeError):
            break
    return options
