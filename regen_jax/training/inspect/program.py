"""What a training step costs, read from the program that XLA makes of it.

Nothing is trained and no state is allocated: the step of the loop itself is compiled for
shapes alone.
"""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from regen_jax.training.inspect.collectives import Collective, collectives
from regen_jax.training.inspect.flops import model_flops, num_parameters
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.stage import Batch, Frozen, Stage, StageOptions
from regen_jax.training.step import TrainState, create, train_step


@dataclasses.dataclass(frozen=True)
class Step:
    """A stage's training step, and the shapes of its arguments.

    Attributes:
      stage: that is trained.
      options: of the stage.
      state: as `step.create` makes it.
      frozen: variables of finished stages.
      batch: a batch on the host, or its shapes.
    """

    stage: Stage
    options: StageOptions
    state: TrainState
    frozen: Frozen
    batch: Batch

    @classmethod
    def of(
        cls, stage: Stage, options: StageOptions, frozen: Frozen, batch: Batch
    ) -> "Step":
        """Returns the step of a stage from scratch; its state is not allocated."""
        init = functools.partial(create, stage, options, jax.random.key(0), batch)
        return cls(stage, options, jax.eval_shape(init), frozen, batch)


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes on one device, by what they are for.

    Attributes:
      arguments: state, frozen variables and the device's part of a batch.
      outputs: the new state and metrics.
      temporaries: activations, gradients, and others that live within a step.
      aliased: outputs that take the place of arguments.
    """

    arguments: int
    outputs: int
    temporaries: int
    aliased: int

    @property
    def peak(self) -> int:
        """An upper bound on the bytes that are held at once."""
        return self.arguments + self.outputs - self.aliased + self.temporaries


@dataclasses.dataclass(frozen=True)
class Program:
    """A training step as it is compiled for one device of a strategy.

    Attributes:
      parameters: that the stage trains.
      model_flops: of a step on the global batch, however it is compiled.
      flops_per_device: of the compiled program as XLA counts them: with recomputation,
        and the body of a loop once.
      memory: bytes on one device.
      collectives: communications of a step.
    """

    parameters: int
    model_flops: float
    flops_per_device: float
    memory: Memory
    collectives: tuple[Collective, ...]


def analyze(step: Step, strategy: Strategy) -> Program:
    """Compiles a step for shapes and reads its costs."""
    compiled = lower(step, strategy).compile()
    memory: Any = compiled.memory_analysis()
    costs = compiled.cost_analysis() or {}
    return Program(
        parameters=num_parameters(step.state.variables["params"]),
        model_flops=model_flops(step.stage, step.state, step.frozen, step.batch),
        flops_per_device=costs.get("flops", 0.0),
        memory=Memory(
            memory.argument_size_in_bytes,
            memory.output_size_in_bytes,
            memory.temp_size_in_bytes,
            memory.alias_size_in_bytes,
        ),
        collectives=collectives(compiled.as_text() or "", strategy.num_devices),
    )


def lower(step: Step, strategy: Strategy) -> jax.stages.Lowered:
    """Lowers the loop's step of that strategy for the shapes of its arguments."""
    jitted = strategy.compile(
        functools.partial(train_step, step.stage, step.options), step.state
    )
    rows = len(strategy.host_rows(step.options.batch_size))
    zeros = jax.tree.map(lambda x: np.zeros((rows, *x.shape[1:]), x.dtype), step.batch)
    return jitted.lower(
        strategy.abstract_step_state(step.state),
        strategy.abstract_step_state(step.frozen),
        jax.tree.map(_shape, strategy.shard_batch(zeros)),
        jax.eval_shape(jax.random.key, 0),
    )


def describe(name: str, program: Program) -> str:
    """Returns a line on the size, the arithmetic and the memory of a stage."""
    memory = program.memory
    return (
        f"{name}: {human(program.parameters)} parameters, "
        f"{human(program.model_flops)}FLOP per step, "
        f"{human(memory.peak)}B per device "
        f"({human(memory.arguments)}B of state and data, "
        f"{human(memory.temporaries)}B of temporaries)"
    )


def device_memory() -> int | None:
    """Returns the bytes of memory of one device, or None if the backend does not say.

    Devices of a CPU divide the memory of the machine or container.
    """
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    group = Path("/sys/fs/cgroup/memory.max")
    if group.is_file() and group.read_text().strip().isdigit():
        limits.append(int(group.read_text()))
    return min(limits) // jax.local_device_count()


def human(value: float) -> str:
    """Returns a number with three digits and a prefix of powers of 1000: `1.23 G`."""
    for prefix in ("", "k", "M", "G", "T", "P", "E"):
        if value < 999.5 or prefix == "E":
            return f"{value:.3g} {prefix}"
        value /= 1000
    raise AssertionError


def _shape(x: jax.Array | np.ndarray) -> jax.ShapeDtypeStruct:
    sharding = getattr(x, "sharding", None)
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
