"""A stage so small that whole runs of it are fast."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.data.pipeline import (
    evaluation_batches,
    first_batch,
    training_batches,
)
from regen_jax.interfaces import LossOutput
from regen_jax.training.checkpoint import CheckpointOptions
from regen_jax.training.inspect.profile import ProfileOptions
from regen_jax.training.loop import LoopOptions, StageData, train
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.preemption import Preemption
from regen_jax.training.schedules.warmup_cosine import WarmupCosine
from regen_jax.training.stage import Stage, StageOptions
from regen_jax.training.start import TrainedStage


class Points:
    """40 pairs of x f32[8] and y f32[16]."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(40, 8)).astype(np.float32)
        self.y = self.x @ rng.normal(size=(8, 16)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {"x": self.x[index], "y": self.y[index]}


def _init(rng, batch):
    kernel = jax.random.normal(rng, (8, 16)) / 4
    return {
        "params": {"kernel": kernel, "bias": jnp.zeros(16)},
        "seen": {"total": jnp.zeros(8), "chosen": jnp.zeros(8)},
    }


def _loss(variables, frozen, keys, batch, train):
    """Regression of y on x; in training from noisy x, a number for each example.

    Examples weigh differently in the loss, as texts of different lengths do.
    """
    x = batch["x"]
    weight = 1.0 + jnp.abs(x[:, 0])
    if train:
        x = x + 0.1 * jax.vmap(lambda key: jax.random.normal(key, (8,)))(keys)
    params = variables["params"]
    error = x @ params["kernel"] + params["bias"] - batch["y"]
    squares = jnp.mean(error**2, axis=1)
    return LossOutput(
        squares,
        {"worst": jnp.max(error, axis=1)},
        {"x": x.sum(0)},
        {"candidates": x},
        {"loss": weight},
    )


def _finalize(variables, frozen, batches):
    """The mean of x over all examples, and of what the parameters make of it."""
    x = np.concatenate([batch["x"] for batch in batches])
    params = jax.device_get(variables["params"])
    outputs = x @ params["kernel"] + params["bias"]
    moments = {"x": jnp.asarray(x.mean(0)), "outputs": jnp.asarray(outputs.mean(0))}
    return {**variables, "moments": moments}


def _update(variables, rng, objective):
    candidates = objective.per_example["candidates"]
    chosen = candidates[jax.random.randint(rng, (), 0, len(candidates))]
    total = variables["seen"]["total"] + objective.sums["x"]
    return {**variables, "seen": {"total": total, "chosen": chosen}}


@dataclasses.dataclass
class Toy:
    """The stage `toy`, its data, and a run of it."""

    points: Points = dataclasses.field(default_factory=Points)
    stage: Stage = dataclasses.field(
        default_factory=lambda: Stage("toy", _init, _loss, _update)
    )

    def finalizing(self, finalize: Callable = _finalize) -> Stage:
        """The same stage with moments that `finalize` computes."""

        def init(rng, batch):
            moments = {"x": jnp.zeros(8), "outputs": jnp.zeros(16)}
            return {**self.stage.init(rng, batch), "moments": moments}

        return dataclasses.replace(self.stage, init=init, finalize=finalize)

    def batch(self, size: int = 8) -> dict[str, np.ndarray]:
        return first_batch(self.points, size)

    def batches(
        self, size: int = 8, rows: np.ndarray | None = None
    ) -> grain.DatasetIterator:
        return training_batches(self.points, size, seed=3, rows=rows, num_threads=0)

    def options(self, **changes) -> StageOptions:
        defaults = {
            "steps": 6,
            "batch_size": 8,
            "schedule": WarmupCosine(1e-2, 0.3),
        }
        return StageOptions(**(defaults | changes))

    def train(
        self,
        workdir: Path,
        stage: Stage | None = None,
        options: StageOptions | None = None,
        log_every: int = 1,
        evaluate_every: int = 100,
        every: int = 2,
        keep: int = 2,
        strategy: Strategy | None = None,
        batches: Callable | None = None,
        preemption: Preemption | None = None,
        profile: ProfileOptions | None = None,
    ) -> TrainedStage:
        options = options or self.options()
        return train(
            stage or self.stage,
            options,
            LoopOptions(
                seed=5,
                log_every=log_every,
                evaluate_every=evaluate_every,
                checkpoint=CheckpointOptions(every, keep),
                profile=profile or ProfileOptions(),
            ),
            strategy or make_strategy(ParallelOptions(axes=MeshAxes(data=1))),
            workdir,
            {},
            StageData(
                self.batch(options.batch_size),
                batches or (lambda: self.batches(options.batch_size)),
                lambda: evaluation_batches(self.points, options.batch_size),
            ),
            preemption or Preemption(),
        )
