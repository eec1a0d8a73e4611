"""What a run will take of its devices, before it runs."""

from collections.abc import Iterator

from regen_jax.config.build import Run
from regen_jax.data.pipeline import first_batch
from regen_jax.errors import UserError
from regen_jax.training.inspect.program import (
    Step,
    analyze,
    describe,
    device_memory,
    human,
)
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.stage import Frozen


def steps(run: Run) -> Iterator[Step]:
    """Yields the training step of each stage, with the variables of earlier ones frozen."""
    frozen: Frozen = {}
    for stage in run.stages:
        options = run.train[stage.name]
        batch = first_batch(run.examples(stage.name), options.batch_size)
        step = Step.of(stage, options, frozen, batch)
        yield step
        frozen = {**frozen, stage.name: step.state.averaged}


def preview(run: Run, strategy: Strategy) -> None:
    """Prints a line for each stage that the run trains.

    Raises:
      UserError: a stage does not fit into the memory of a device.
    """
    room = device_memory()
    too_large = {}
    for step in steps(run):
        if step.options.init_from or not step.options.steps:
            continue
        name, program = step.stage.name, analyze(step, strategy)
        print(describe(name, program), flush=True)
        if room is not None and program.memory.peak > room:
            too_large[name] = program.memory.peak
    if too_large:
        needs = ", ".join(f"{name} {human(peak)}B" for name, peak in too_large.items())
        raise UserError(
            f"a device has {human(room)}B of memory, less than a step needs: {needs}; "
            "lower batch_size, set accumulate or parallel.axes.fsdp, or use more devices"
        )
