"""Builds a run from a config, of parts that fit each other."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from regen_jax import paths
from regen_jax.config import train_section
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
from regen_jax.regeneration import Regeneration
from regen_jax.spaces import Space
from regen_jax.stages import make_stages
from regen_jax.training.checkpoint import CheckpointOptions
from regen_jax.training.inspect.profile import ProfileOptions
from regen_jax.training.loop import LoopOptions
from regen_jax.training.parallel.options import ParallelOptions
from regen_jax.training.stage import Stage, StageOptions

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
    x, y = _spaces(task, stored=info is not None)
    regeneration = join(config, x, y)

    evaluate = instantiate(EvaluateOptions, config["evaluate"], "config.evaluate")
    data = EvaluationData(
        task,
        regeneration,
        split=evaluated or "validation",
        batch_size=evaluate.batch_size,
        num_samples=evaluate.samples if evaluated else evaluate.loop_samples,
        whole=bool(evaluated),
    )
    train = train_section.parse(config["train"], task)
    decoder_training = train_section.decoder_training(train, regeneration)
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
        train_section.select(train, stages, task),
        loop,
        instantiate(ParallelOptions, config["parallel"], "config.parallel"),
        data,
        instantiate(CacheOptions, config["cache"], "config.cache"),
    )


def _spaces(task: Task, stored: bool) -> tuple[Space, Space]:
    """Returns X and Y of a task; `UserError` where its stored info does not give them."""
    try:
        return task.x, task.y
    except UserError:
        raise
    # The info of a task is its own: what is wrong in it shows as any exception.
    except Exception as error:
        if not stored:
            raise
        raise UserError(
            f"the task.json of the run is damaged ({error!r}): restore that file, or "
            "train again in another --workdir"
        ) from error


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
    folder = config["data"].get("dir", "")
    if isinstance(folder, str) and (folder or default):
        where = "config.data.dir" if folder else "TFDS_DATA_DIR"
        paths.local(folder or default, where)
    for name, section in config["train"].items():
        for option in ("init_from", "start_from"):
            if isinstance(section, Mapping) and section.get(option):
                where = f"config.train.{name}.{option}"
                paths.storable(str(section[option]), where)


def _seed(seed: Any) -> int:
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise UserError(f"config.seed must be an int from 0 to 2**31 - 1, not {seed!r}")
    return seed
