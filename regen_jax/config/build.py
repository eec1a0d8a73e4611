"""Builds a run from a config, of parts that fit each other."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from regen_jax import paths
from regen_jax.config.assembly import join_arrows, make_abstraction
from regen_jax.config.registry import (
    instantiate,
    require_section,
    resolve_class,
    to_plain_dict,
)
from regen_jax.config.sections import CacheOptions, LogOptions
from regen_jax.data.host_features import open_examples
from regen_jax.data.pipeline import DataSource, subset
from regen_jax.errors import UserError
from regen_jax.evaluation.evaluator import EvaluationData
from regen_jax.evaluation.options import EvaluateOptions
from regen_jax.interfaces import Task
from regen_jax.networks.perturbation import check_noise
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Space
from regen_jax.stages import DecoderTraining, make_stages
from regen_jax.training.checkpoint import CheckpointOptions
from regen_jax.training.inspect.profile import ProfileOptions
from regen_jax.training.loop import LoopOptions
from regen_jax.training.parallel.options import ParallelOptions
from regen_jax.training.stage import FinetuneOptions, Stage, StageOptions

OPTIONAL = ("profile", "cache")
SECTIONS = (
    "seed",
    "task",
    "data",
    "source",
    "abstraction",
    "prior",
    "decoder",
    "train",
    "parallel",
    "checkpoint",
    "log",
    "evaluate",
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as a config describes it: task, pipeline, stages and their options."""

    task: Task
    regeneration: Regeneration
    stages: list[Stage]
    train: dict[str, StageOptions]
    loop: LoopOptions
    parallel: ParallelOptions
    evaluation: EvaluationData
    cache: CacheOptions

    def examples(self, stage: str) -> DataSource:
        """Returns what that stage trains on."""
        options = self.train[stage]
        examples = open_examples(self.task, self.regeneration, options.split)
        return subset(examples, options.data_fraction, self.loop.seed)


def build(
    config: Mapping[str, Any],
    evaluated: str | None = None,
    reports: bool = True,
    info: Mapping[str, Any] | None = None,
) -> Run:
    """Joins task, source, abstraction, prior and decoder; compiles nothing.

    Args:
      config: its sections.
      evaluated: the split that `evaluate` reports on, with its number of samples;
        without it, reports are those of the training loop, on `validation`.
      reports: whether stages report at all; a run that only samples does not.
      info: `Task.info` as a run stored it, in place of what the prepared data say.

    Raises:
      UserError: an unknown section, option or value, parts whose spaces do not fit, or
        data that are not prepared.
    """
    config = to_plain_dict(config)
    config = {name: {} for name in OPTIONAL} | config
    unknown = sorted(set(config) - {*SECTIONS, *OPTIONAL})
    missing = [section for section in SECTIONS if section not in config]
    if unknown or missing:
        fault = f"has unknown fields {unknown}" if unknown else f"lacks {missing}"
        raise UserError(f"config {fault}; it needs {', '.join(SECTIONS)}")
    for section in config:
        if section not in ("seed", "task"):
            require_section(config[section], f"config.{section}")
    _check_paths(config)
    task = instantiate(
        resolve_class(Task, config["task"], "config.task"),
        config["data"],
        "config.data",
    )
    if info is not None:
        task = task.with_info(info)
    regeneration = join(config, task.x, task.y)

    evaluate = instantiate(EvaluateOptions, config["evaluate"], "config.evaluate")
    data = EvaluationData(
        task,
        regeneration,
        split=evaluated or "validation",
        batch_size=evaluate.batch_size,
        num_samples=evaluate.samples if evaluated else evaluate.loop_samples,
        whole=bool(evaluated),
    )
    decoder_training = _decoder_training(config["train"], regeneration)
    stages = make_stages(
        task, regeneration, data if reports else None, decoder_training
    )
    loop = LoopOptions(
        seed=_seed(config["seed"]),
        log_every=instantiate(LogOptions, config["log"], "config.log").every,
        evaluate_every=evaluate.every,
        checkpoint=instantiate(
            CheckpointOptions, config["checkpoint"], "config.checkpoint"
        ),
        profile=instantiate(ProfileOptions, config["profile"], "config.profile"),
    )
    return Run(
        task,
        regeneration,
        stages,
        _train_options(config["train"], task, [stage.name for stage in stages]),
        loop,
        instantiate(ParallelOptions, config["parallel"], "config.parallel"),
        data,
        instantiate(CacheOptions, config["cache"], "config.cache"),
    )


def join(config: Mapping[str, Any], x: Space, y: Space) -> Regeneration:
    """Builds the pipeline from space X to space Y of a config's four parts.

    Raises:
      UserError: one line that names two parts that do not fit, and what would.
    """
    source = make_abstraction(config["source"], "config.source", x)
    target_origin = f"task {config['task']!r}"
    return Regeneration(
        source, *join_arrows(config, "config", source.output_space, y, target_origin)
    )


def _check_paths(config: Mapping[str, Any]) -> None:
    """Checks the folders that fields of a config name."""
    default = os.environ.get("TFDS_DATA_DIR", "")
    if isinstance(folder := config["data"].get("dir", ""), str):
        where = "config.data.dir" if folder else "TFDS_DATA_DIR"
        paths.local(folder or default, where)
    for name, section in config["train"].items():
        if isinstance(section, Mapping) and section.get("init_from"):
            where = f"config.train.{name}.init_from"
            paths.storable(str(section["init_from"]), where)


def _seed(seed: Any) -> int:
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise UserError(f"config.seed must be an int from 0 to 2**31 - 1, not {seed!r}")
    return seed


def _train_options(
    train: Mapping[str, Any], task: Task, stages: list[str]
) -> dict[str, StageOptions]:
    """Parses `config.train`; entries for stages that this run lacks are allowed."""
    known = (*task.judges, "source", "abstraction", "decoder", "prior", "finetune")
    unknown = sorted(set(train) - set(known))
    missing = [name for name in stages if name not in train]
    if unknown or missing:
        fault = f"has unknown {unknown}" if unknown else f"lacks {missing}"
        raise UserError(f"config.train {fault}; stages are {', '.join(known)}")
    by_stage = {name: _stage_options(name, section) for name, section in train.items()}
    for name, options in by_stage.items():
        if options.split != "train" and name not in ("abstraction", "decoder"):
            raise UserError(
                f"config.train.{name}.split is {options.split!r}, but only an abstraction "
                "and a decoder learn from Y alone: use 'train'"
            )
    return {name: by_stage[name] for name in stages}


def _stage_options(name: str, section: Mapping[str, Any]) -> StageOptions:
    cls = FinetuneOptions if name == "finetune" else StageOptions
    return instantiate(cls, section, f"config.train.{name}")


def _decoder_training(train: Mapping[str, Any], parts: Regeneration) -> DecoderTraining:
    """Reads from `config.train` how the decoder gets used to generated Y′.

    Raises:
      UserError: another stage has noise, or there is no decoder stage to have it.
    """
    by_stage = {name: _stage_options(name, section) for name, section in train.items()}
    with_decoder = {"finetune", *(("decoder",) if parts.decoder else ())}
    for name, options in by_stage.items():
        where = f"config.train.{name}.source_noise"
        if options.source_noise and name not in with_decoder:
            raise UserError(
                f"{where} is {options.source_noise}, but only a decoder that has a stage "
                "of its own, and 'finetune', read noisy Y′: use 0, or code_noise of an "
                "abstraction 'autoencoder'"
            )
        try:
            check_noise(parts.abstraction.output_space, options.source_noise, where)
        except ValueError as error:
            raise UserError(str(error)) from error
    noise = by_stage["decoder"].source_noise if "decoder" in by_stage else 0.0
    finetune = by_stage.get("finetune")
    if not isinstance(finetune, FinetuneOptions):
        finetune = None
    return DecoderTraining(noise, finetune)
