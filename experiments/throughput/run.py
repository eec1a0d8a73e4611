"""How fast is each stage of a config, and how near to this machine's peak?

    python -m experiments.throughput.run --config=configs/digits.py

For each stage: the median over repeats of the time of a training step, examples a second,
model FLOP/s, and the share of what a large matrix product reaches on the same machine
just before. Then the time to draw samples after compilation. Weights are those of the
start; nothing is written.
"""

import functools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from regen_jax.cli import commands
from regen_jax.config.build import Run, build
from regen_jax.data.host_features import as_batch, open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.evaluation.inference import TrainedPipeline
from regen_jax.training.inspect.flops import model_flops
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.stage import Frozen, Stage, Tree
from regen_jax.training.start import stage_rng
from regen_jax.training.step import create, train_step

CONFIG = commands.define_config()
REPEATS = flags.DEFINE_integer("repeats", 7, "measurements of each", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 5, "steps in a measurement", lower_bound=1)
SAMPLES = flags.DEFINE_multi_integer("samples", [1, 64, 100], "batches to draw")


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median time of a call, after one that is not counted."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_flops(dtype: str, repeats: int, size: int = 2048) -> float:
    """FLOP/s of a size x size matrix product on one device."""
    x = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
    seconds = median_seconds(functools.partial(jax.jit(jnp.matmul), x, x), repeats)
    return 2 * size**3 / seconds


def measure_stage(
    run: Run, stage: Stage, strategy: Strategy, frozen: Frozen
) -> tuple[Tree, float, float]:
    """Variables at the start, seconds of a training step, and model FLOPs of it."""
    options = run.train[stage.name]
    rng = stage_rng(run.loop.seed, stage.name)
    batch = first_batch(
        open_examples(run.task, run.regeneration, "train"), options.batch_size
    )
    init = functools.partial(create, stage, options, rng, batch)
    shapes = jax.eval_shape(init)
    variables = strategy.create(init).variables
    step = strategy.compile(functools.partial(train_step, stage, options), shapes)
    placed, everywhere = strategy.shard_batch(batch), strategy.to_step_layout(frozen)
    state = strategy.to_step_layout(strategy.create(init))

    def steps():
        nonlocal state
        for _ in range(STEPS.value):
            state, _ = step(state, everywhere, placed, rng)
        return state

    seconds = median_seconds(steps, REPEATS.value) / STEPS.value
    return variables, seconds, model_flops(stage, shapes, frozen, batch)


def main() -> None:
    """Measures each stage of the config, and prints a line for each."""
    run = build(commands.parsed_config(CONFIG))
    strategy = make_strategy(run.parallel)
    device = jax.devices()[0]
    print(f"{strategy.num_devices} x {device.device_kind}, jax {jax.__version__}")
    print(
        f"{'stage':<12} {'batch':>6} {'step ms':>9} {'examples/s':>11} "
        f"{'GFLOP/s':>9} {'of peak':>8}"
    )
    variables: dict[str, Tree] = {}
    for stage in run.stages:
        peak = peak_flops("float32", REPEATS.value) * strategy.num_devices
        variables[stage.name], seconds, flops = measure_stage(
            run, stage, strategy, dict(variables)
        )
        size = run.train[stage.name].batch_size
        print(
            f"{stage.name:<12} {size:>6} {seconds * 1e3:>9.1f} {size / seconds:>11.0f} "
            f"{flops / seconds / 1e9:>9.1f} {flops / seconds / peak:>8.0%}"
        )
    print(f"a 2048 x 2048 matrix product in float32: {peak / 1e9:.0f} GFLOP/s")

    length = int(np.prod(run.regeneration.abstraction.output_space.shape))
    trained = TrainedPipeline(run.task, run.regeneration, variables)
    for number in SAMPLES.value:
        prompts = as_batch(run.task.prompts(number), run.regeneration)
        seconds = median_seconds(
            functools.partial(trained.sample, prompts, batch_size=number),
            REPEATS.value,
        )
        print(
            f"samples      {number:>6} {seconds * 1e3:>9.1f} {number / seconds:>11.1f} "
            f"({length * number / seconds:.0f} values of Y′ a second)"
        )


if __name__ == "__main__":
    commands.run(main)
