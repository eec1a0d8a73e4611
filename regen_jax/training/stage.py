"""What the loop trains: a stage is some variables, a pure loss, and how it is judged."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from regen_jax import ranges
from regen_jax.evaluation.outputs import PerExample
from regen_jax.media.media import Media
from regen_jax.ranges import Count, Fraction, NonNegative, Positive, Rate, Share

Tree = Any
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
    """One stage of a run.

    Attributes:
      name: of the stage, its folder and its section of the config.
      init: (rng, batch) to variables: a dict of collections, `params` among them.
      loss: (variables, frozen, keys, batch, train) to an objective: `loss` f32[B] and
        `metrics` an entry an example, `totals` summed over examples, `examples` kept an
        example. `keys` are one an example.
      update: (variables, rng, objective) to variables: what changes in a step other
        than by gradient, given the objective of the whole global batch.
      summarize: (metrics, totals) to metrics, over a whole split.
      report: (variables, frozen) to a report on held-out data; called now and then.
    """

    name: str
    init: Callable[[jax.Array, Batch], Tree]
    loss: Callable[[Tree, Frozen, jax.Array, Batch, bool], Any]
    update: Callable[[Tree, jax.Array, Any], Tree] = lambda variables, rng, _: variables
    summarize: Callable[[dict, dict], dict[str, float]] = lambda metrics, totals: (
        metrics
    )
    report: Callable[[Tree, Frozen], Report] = lambda variables, frozen: Report()


@dataclasses.dataclass(frozen=True)
class StageOptions:
    """`config.train.<stage>`.

    Attributes:
      steps: optimizer steps.
      batch_size: examples a step, over all devices and micro-batches.
      learning_rate: peak, reached at the end of the warm-up, then a cosine down to
        `final_learning_rate` of it.
      warmup: fraction of the steps over which the learning rate rises, rounded to whole
        steps.
      weight_decay: of AdamW, on the kernels of layers; see `training.optimizer`.
      clip_norm: largest norm of the gradient.
      ema_decay: of the average of weights that evaluation and sampling use.
      accumulate: micro-batches a step.
      init_from: a workdir to take the finished stage from, instead of training it.
      share: part of the training examples that the stage sees. A decoder may learn from
        all Y while the prior has few pairs.
      split: `train`, or for an abstraction or a decoder `targets`: all Y that the task
        has, with or without X.
    """

    steps: Count = 1000
    batch_size: Count = 64
    learning_rate: Positive = 1e-3
    warmup: Fraction = 0.05
    final_learning_rate: Fraction = 0.0
    beta1: Rate = 0.9
    beta2: Rate = 0.99
    weight_decay: NonNegative = 0.01
    clip_norm: Positive = 1.0
    ema_decay: Rate = 0.999
    accumulate: Count = 1
    init_from: str = ""
    share: Share = 1.0
    split: str = "train"

    def __post_init__(self):
        ranges.check(self)
        if self.split not in ("train", "targets"):
            raise ValueError(f"split must be 'train' or 'targets', not {self.split!r}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate {self.accumulate} does not divide batch_size {self.batch_size}"
            )
