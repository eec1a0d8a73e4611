"""What the studies of compiled programs share: closed forms, and rows of results."""

from collections import Counter
from typing import Any

import jax

from regen_jax.training.inspect.program import Program
from regen_jax.training.parallel.options import ParallelOptions
from regen_jax.training.parallel.strategies import make_strategy
from regen_jax.training.parallel.strategy import Strategy
from regen_jax.training.stage import Tree


def closed_form(split: int, whole: int, data: int, fsdp: int) -> tuple[float, float]:
    """Bytes that a device has to send in a step, by ring algorithms.

    `split` bytes of parameters lie on `fsdp` devices together: they are gathered once,
    and their gradients scattered, and then reduced over `data` such groups. `whole`
    bytes are on every device: their gradients are reduced over all. Returns what is sent
    within a group, and what between groups; a reduction over all is the latter where
    there are several.
    """
    within, across = (fsdp - 1) / fsdp, (data - 1) / data
    everywhere = 2 * (1 - 1 / (data * fsdp)) * whole
    near, far = 2 * within * split, 2 * across * split / fsdp
    return (near, far + everywhere) if data > 1 else (near + everywhere, far)


def bytes_by_place(parallel: ParallelOptions, params: Tree) -> tuple[int, int]:
    """Bytes of parameters that are split over devices, and that each of them has."""
    strategy: Strategy = make_strategy(parallel)
    split = whole = 0
    for leaf in jax.tree.leaves(strategy.abstract_checkpoint(params)):
        size = leaf.size * leaf.dtype.itemsize
        if leaf.sharding.is_fully_replicated:
            whole += size
        else:
            split += size
    return split, whole


def row(program: Program, expected: tuple[float, float]) -> dict[str, Any]:
    """Figures of a program for JSON; `expected` is what `closed_form` gives."""
    kinds = Counter()
    for collective in program.collectives:
        kinds[collective.kind] += collective.count
    return {
        "parameters": program.parameters,
        "model_flops": program.model_flops,
        "flops": program.flops_per_device,
        "arguments": program.memory.arguments,
        "temporaries": program.memory.temporaries,
        "peak": program.memory.peak,
        "collectives": dict(kinds),
        "sent": sum(c.sent for c in program.collectives),
        "closed_form": sum(expected),
    }
