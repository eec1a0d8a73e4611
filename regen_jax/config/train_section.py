"""The section `train`: options of each stage, and of the decoder for generated Y′."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError
from regen_jax.interfaces import Task
from regen_jax.networks.perturbation import check_noise
from regen_jax.regeneration import Regeneration
from regen_jax.stages import DecoderTraining
from regen_jax.training.stage import FinetuneOptions, Stage, StageOptions


def parse(train: Mapping[str, Any], task: Task) -> dict[str, StageOptions]:
    """Returns the options of every stage that `config.train` has a section of.

    Raises:
      UserError: no run of the task has such a stage, or an option is wrong.
    """
    if unknown := sorted(set(train) - set(_known(task))):
        raise _fault(f"has unknown {unknown}", task)
    by_stage = {
        name: instantiate(
            FinetuneOptions if name == "finetune" else StageOptions,
            section,
            f"config.train.{name}",
        )
        for name, section in train.items()
    }
    for name, options in by_stage.items():
        if options.split != "train" and name not in ("abstraction", "decoder"):
            raise UserError(
                f"config.train.{name}.split is {options.split!r}, but only an abstraction "
                "and a decoder learn from Y alone: use 'train'"
            )
    return by_stage


def select(
    by_stage: Mapping[str, StageOptions], stages: Sequence[Stage], task: Task
) -> dict[str, StageOptions]:
    """Returns the options of these stages; those without parameters take no steps.

    Args:
      by_stage: as `parse` returns it; entries for stages that the run lacks are allowed.
      stages: of the run.
      task: of the run.

    Raises:
      UserError: a stage has no options, or no steps.
    """
    parametric = {stage.name: stage.parametric for stage in stages}
    if missing := [name for name in parametric if name not in by_stage]:
        raise _fault(f"lacks {missing}", task)
    for name, options in by_stage.items():
        if not options.steps and parametric.get(name, True):
            raise UserError(f"config.train.{name}.steps must be at least 1, not 0")
    return {
        name: by_stage[name]
        if has_any
        else dataclasses.replace(by_stage[name], steps=0)
        for name, has_any in parametric.items()
    }


def decoder_training(
    by_stage: Mapping[str, StageOptions], regeneration: Regeneration
) -> DecoderTraining:
    """Returns how the decoder gets used to Y′ that is generated.

    Args:
      by_stage: as `parse` returns it.
      regeneration: the parts of the pipeline.

    Raises:
      UserError: another stage has noise, there is no decoder stage to have it, or its
        level does not suit Y′.
    """
    trained = regeneration.decoder is not None and regeneration.decoder.parametric
    noisy = ("decoder", "finetune") if trained else ("finetune",)
    for name, options in by_stage.items():
        where = f"config.train.{name}.source_noise"
        if options.source_noise and name not in noisy:
            raise UserError(
                f"{where} is {options.source_noise}, but only a decoder that trains in a "
                "stage of its own, and 'finetune', read noisy Y′: use 0, or code_noise of "
                "an abstraction 'autoencoder'"
            )
        try:
            check_noise(
                regeneration.abstraction.output_space, options.source_noise, where
            )
        except ValueError as error:
            raise UserError(str(error)) from error
    noise = by_stage["decoder"].source_noise if "decoder" in by_stage else 0.0
    finetune = by_stage.get("finetune")
    return DecoderTraining(
        noise, finetune if isinstance(finetune, FinetuneOptions) else None
    )


def _known(task: Task) -> tuple[str, ...]:
    """Returns the names of all stages that a run of the task can have."""
    return (*task.judges, "source", "abstraction", "decoder", "prior", "finetune")


def _fault(fault: str, task: Task) -> UserError:
    return UserError(f"config.train {fault}; stages are {', '.join(_known(task))}")
