"""What the loop trains: a stage is some variables, a pure loss, and its evaluation."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import jax

from regen_jax.interfaces import PerExample
from regen_jax.media.media import Media
from regen_jax.ranges import (
    Checked,
    Count,
    Natural,
    NonNegative,
    PositiveFraction,
    Rate,
)
from regen_jax.training.named_leaves import Tree
from regen_jax.training.optimizers.adamw import AdamW
from regen_jax.training.optimizers.interface import Optimizer
from regen_jax.training.schedules.interface import Schedule
from regen_jax.training.schedules.warmup_cosine import WarmupCosine

Batch = Mapping[str, jax.Array]
Frozen = Mapping[str, Tree]
"""Variables of the finished stages that a loss reads, by stage name."""


@dataclasses.dataclass
class Report:
    """What an evaluation found, for TensorBoard and the terminal.

    Attributes:
      scalars: finite metrics by name.
      media: images, sounds and texts to show.
      failed: names of the evaluators that raised.
    """

    scalars: dict[str, float] = dataclasses.field(default_factory=dict)
    media: Media = dataclasses.field(default_factory=Media)
    per_example: Callable[[], PerExample] | None = None
    """Computes what `evaluate` writes of each sample."""
    failed: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a run: pure functions of variables, which the loop trains.

    Attributes:
      name: of the stage, its folder and its section of the config.
      init: (rng, batch) to variables: a dict of collections, `params` among them.
      loss: (variables, frozen, keys, batch, train) to a `LossOutput`, given one key per
        example.
      update: (variables, rng, output) to variables: what changes in a step other than by
        gradient, given the `LossOutput` of the whole global batch.
      finalize: (variables, frozen, batches) to variables: collections other than `params`
        that are computed once after the last step, such as moments of latents, from
        batches of all training examples in order, a new pass for each iteration. Arrays
        keep their shapes and dtypes. Variables are those that evaluation uses. It runs
        again if the run ends before they are saved.
      pretrained: (frozen) to collections that replace those of `init` in a new state, or
        None for none. Given shapes of the frozen variables, it checks that they fit.
      start_from: (variables) to collections that replace those of `init` in a new state:
        what `StageOptions.start_from` takes of the variables of another run's stage.
      summarize: (metrics, sums) to metrics, over a whole split.
      report: (variables, frozen) to a report on held-out data.
      check_data: raises a UserError where training batches do not suit it; given batches
        as `finalize` is, before anything is compiled or written.
      parametric: whether `params` holds any; else it takes no steps.
      continues: whether its parameters are those of an earlier stage, trained further.
    """

    name: str
    init: Callable[[jax.Array, Batch], Tree]
    loss: Callable[[Tree, Frozen, jax.Array, Batch, bool], Any]
    update: Callable[[Tree, jax.Array, Any], Tree] = lambda variables, rng, _: variables
    summarize: Callable[[dict, dict], dict[str, float]] = lambda metrics, sums: metrics
    report: Callable[[Tree, Frozen], Report] = lambda variables, frozen: Report()
    finalize: Callable[[Tree, Frozen, Iterable[Batch]], Tree] | None = None
    pretrained: Callable[[Frozen], Tree] | None = None
    start_from: Callable[[Tree], Tree] = lambda variables: {
        "params": variables["params"]
    }
    check_data: Callable[[Iterable[Batch]], None] = lambda batches: None
    parametric: bool = True
    continues: bool = False


@dataclasses.dataclass(frozen=True)
class StageOptions(Checked):
    """`config.train.<stage>`.

    Attributes:
      steps: optimizer steps, at least 1; a stage without parameters takes none.
      batch_size: examples per step, over all devices and micro-batches.
      accumulate: micro-batches per step.
      optimizer: the update of the parameters, and groups of them that differ.
      schedule: the learning rate by step.
      ema: decays of exponential moving averages of the parameters. Evaluation, sampling
        and later stages use the first one; without any, the parameters themselves.
      split: `train`, or for an abstraction or a decoder `targets`: all Y that the task
        has, with or without X.
      source_noise: of a decoder's source while it trains: of an Array, the highest standard
        deviation of Gaussian noise, uniform per example, in units of the normalized Array;
        of Tokens, the probability that each is replaced by a uniform one. It gets a decoder
        used to Y′ that is generated; the level is no input of the decoder.
      data_fraction: fraction of the examples of the split that the stage sees. A decoder
        may learn from all Y while the prior has few pairs.
      init_from: a workdir to take the finished stage from, instead of training it.
      start_from: a workdir whose finished stage has the parameters that training starts
        with. Those of an autoencoder of images inflate to clips: `conv2d` to `conv3d`,
        `vit` to `vit3d`.
    """

    steps: Natural = 1000
    batch_size: Count = 64
    accumulate: Count = 1
    optimizer: Optimizer = dataclasses.field(default_factory=AdamW)
    schedule: Schedule = dataclasses.field(default_factory=WarmupCosine)
    ema: tuple[Rate, ...] = (0.999,)
    split: Literal["train", "targets"] = "train"
    source_noise: NonNegative = 0.0
    data_fraction: PositiveFraction = 1.0
    init_from: str = ""
    start_from: str = ""

    def __post_init__(self):
        super().__post_init__()
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate {self.accumulate} does not divide batch_size {self.batch_size}"
            )
        if self.init_from and self.start_from:
            raise ValueError(
                "init_from takes a stage as it is, and start_from trains it further: give "
                "one of them"
            )


@dataclasses.dataclass(frozen=True)
class FinetuneOptions(StageOptions):
    """`config.train.finetune`, whose presence adds the stage.

    It trains the decoder further on Y′ of the prior, drawn in each step as the section
    `prior` says (temperature, guidance, …), with the true Y as target.

    Attributes:
      generated: fraction of the positions of Y′ that the prior generates; the others are
        those of the true Y′. At 1 it is sampled from X alone, which suits an X that almost
        determines Y, such as a text its speech. Where X leaves much open, as a class its
        images, a lower fraction keeps Y′ and Y a pair (arXiv 2509.12474).
    """

    generated: PositiveFraction = 1.0
