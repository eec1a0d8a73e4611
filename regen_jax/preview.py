"""What a run will take of its devices, before it runs."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from regen_jax.build import Run
from regen_jax.data.annotated import open_examples
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.training.loop import stage_rng
from regen_jax.training.parallel import Strategy
from regen_jax.training.program import (
    Program,
    analyse,
    describe,
    device_memory,
    human,
)
from regen_jax.training.state import create


def programs(run: Run, strategy: Strategy) -> Iterator[tuple[str, Program]]:
    """The compiled step of each stage that the run trains, by name."""
    examples = open_examples(run.task, run.regeneration, "train")
    frozen: dict[str, Mapping[str, Any]] = {}
    for stage in run.stages:
        options = run.train[stage.name]
        batch = first_batch(examples, options.batch_size)
        init = functools.partial(
            create, stage, options, stage_rng(run.loop.seed, stage.name), batch
        )
        shapes = jax.eval_shape(init)
        if not options.init_from:
            yield (
                stage.name,
                analyse(stage, options, strategy, shapes, dict(frozen), batch),
            )
        frozen[stage.name] = shapes.averaged


def preview(run: Run, strategy: Strategy) -> None:
    """Prints a line a stage; `UserError` where one does not fit a device's memory."""
    room = device_memory()
    too_large = {}
    for name, program in programs(run, strategy):
        print(describe(name, program), flush=True)
        if room is not None and program.memory.peak > room:
            too_large[name] = program.memory.peak
    if too_large:
        needs = ", ".join(f"{name} {human(peak)}B" for name, peak in too_large.items())
        raise UserError(
            f"a device has {human(room)}B of memory, less than a step needs: {needs}; "
            "lower batch_size, set accumulate, remat or parallel.fsdp, or use more devices"
        )
