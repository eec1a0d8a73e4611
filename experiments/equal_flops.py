"""Rows of a study that train with as many FLOPs as another."""

import dataclasses

from experiments.study import Row, Scale, configure
from regen_jax.cli import dry_run
from regen_jax.config.build import build
from regen_jax.training.inspect.flops import model_flops


def with_equal_flops(row: Row, other: Row, scale: Scale) -> Row:
    """Returns a row whose prior takes the steps of equal training FLOPs.

    All training counts, but for that of judges.

    Args:
      row: of a model whose prior alone is trained, such as a direct one.
      other: the row with whose training it is compared.
      scale: of the study.
    """
    budget = sum(
        steps * flops for steps, flops in training_flops(other, scale).values()
    )
    _, flops = training_flops(row, scale)["prior"]
    steps = {"train.prior.steps": round(budget / flops)}
    return dataclasses.replace(row, options={**row.options, **steps})


def training_flops(row: Row, scale: Scale) -> dict[str, tuple[int, float]]:
    """Returns steps, and FLOPs per step, of each stage of a row but for judges."""
    run = build(configure(row, {}, scale), reports=False)
    return {
        step.stage.name: (
            step.options.steps,
            model_flops(step.stage, step.state, step.frozen, step.batch),
        )
        for step in dry_run.steps(run)
        if step.stage.name not in run.task.judges
    }
