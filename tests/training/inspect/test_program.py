"""Costs of programs, against counts by hand and closed forms."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.interfaces import LossOutput
from regen_jax.training.inspect.collectives import Collective
from regen_jax.training.inspect.program import (
    Memory,
    Program,
    Step,
    analyze,
    describe,
    device_memory,
    human,
    lower,
)
from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.stage import Stage, StageOptions

IN, OUT, BATCH = 32, 64, 16


def stage(size=IN, out=OUT):
    def init(rng, batch):
        return {"params": {"kernel": jnp.zeros((size, out)), "bias": jnp.zeros(out)}}

    def loss(variables, frozen, keys, batch, train):
        params = variables["params"]
        y = batch["x"] @ params["kernel"] + params["bias"]
        return LossOutput(jnp.square(y * frozen["other"]["scale"]).mean(axis=1))

    return Stage("toy", init, loss)


def step(size=IN, out=OUT):
    batch = {"x": np.zeros((BATCH, size), np.float32)}
    frozen = {"other": {"scale": jax.ShapeDtypeStruct((out,), jnp.float32)}}
    return Step.of(stage(size, out), StageOptions(batch_size=BATCH), frozen, batch)


@functools.cache
def program(parallel):
    return analyze(step(), make_strategy(parallel))


def parameters():
    return IN * OUT + OUT


@pytest.mark.parametrize("parallel", [ParallelOptions(), ParallelOptions("pmap")])
def test_data_parallel_step_sends_every_gradient_once(parallel):
    compiled = program(parallel)
    (reduced,) = [c for c in compiled.collectives if c.kind == "all-reduce"]
    assert (reduced.count, reduced.group_size) == (1, 8)
    gradients, losses = 4 * parameters(), 4 * BATCH
    assert gradients <= reduced.bytes <= gradients + 64
    rest = sum(c.bytes * c.count for c in compiled.collectives) - reduced.bytes
    assert rest <= 2 * losses
    assert reduced.sent == 2 * 7 / 8 * reduced.bytes


def test_single_device_sends_nothing_and_computes_everything():
    alone, shared = (
        program(ParallelOptions(axes=MeshAxes(data=1))),
        program(ParallelOptions()),
    )
    assert alone.collectives == ()
    assert alone.parameters == shared.parameters == parameters()
    assert alone.model_flops == shared.model_flops
    # Two products of matrices forward and backward, as x has no gradient; three in the
    # convention of model FLOPs.
    product = 2 * BATCH * IN * OUT
    assert 3 * product <= alone.model_flops < 3.5 * product
    assert 2 * product <= alone.flops_per_device
    # What does not depend on the batch, such as the optimizer, every device does.
    assert shared.flops_per_device < alone.flops_per_device - 1.5 * product


@pytest.mark.parametrize(
    "parallel, copies",
    [
        (ParallelOptions(), 1),
        (ParallelOptions(axes=MeshAxes(fsdp=8)), 8),
        (ParallelOptions("pmap"), 1),
    ],
    ids=["data", "fsdp", "pmap"],
)
def test_memory_is_that_of_state_and_batch(parallel, copies):
    memory = program(parallel).memory
    # Parameters, average and two moments; the bias is too small to be split.
    state = 4 * (4 * IN * OUT // copies + 4 * OUT)
    batch = 4 * BATCH * IN // 8
    # Counters and metrics, and a pointer to each of the outputs.
    scalars = 200
    frozen = 4 * OUT
    assert 0 <= memory.arguments - state - batch - frozen <= scalars
    assert 0 <= memory.outputs - state <= scalars
    assert 0 <= memory.aliased - state <= scalars
    assert memory.peak == (
        memory.arguments + memory.outputs - memory.aliased + memory.temporaries
    )


def test_lowering_allocates_nothing():
    lowered = lower(step(8, 2**37), make_strategy(ParallelOptions()))
    assert lowered.out_info[0].variables["params"]["kernel"].size == 2**40


def test_description_is_one_line():
    costs = Program(
        parameters=1_234_567,
        model_flops=2.5e12,
        flops_per_device=1e12,
        memory=Memory(3_000_000_000, 2_000_000_000, 500_000_000, 1_900_000_000),
        collectives=(Collective("all-reduce", 8, 1, 2),),
    )
    assert describe("prior", costs) == (
        "prior: 1.23 M parameters, 2.5 TFLOP per step, 3.6 GB per device "
        "(3 GB of state and data, 500 MB of temporaries)"
    )


@pytest.mark.parametrize(
    "value, text", [(0, "0 "), (999, "999 "), (999.6, "1 k"), (1e21, "1e+03 E")]
)
def test_numbers_have_three_digits_and_a_prefix(value, text):
    assert human(value) == text


def test_memory_of_a_cpu_device_is_part_of_the_machine():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 2**20 < device_memory() <= total // jax.local_device_count()
