"""Which axis of an array is split, on made-up trees."""

import re

import jax
import numpy as np
import pytest

from regen_jax.training.parallel.options import MeshAxes, ParallelOptions
from regen_jax.training.parallel.split_axes import split_axis
from regen_jax.training.parallel.strategies import make_strategy


def local_shapes(options, shapes):
    """Shapes on one device of a tree of arrays of those shapes."""
    arrays = jax.tree.map(np.zeros, shapes, is_leaf=lambda x: isinstance(x, tuple))
    placed = make_strategy(options).to_step_layout(arrays)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0).shape, placed)


def test_first_rule_that_matches_decides():
    rules = (("params/kernel", "fsdp"), ("kernel", "replicate"), ("bias|count", "fsdp"))
    options = ParallelOptions(axes=MeshAxes(fsdp=4), rules=rules, min_size=32)
    shapes = {
        "params": {"kernel": (12, 16), "bias": (64,), "short_bias": (16,)},
        "mu": {"kernel": (12, 16)},
        "tail_bias": (6, 9),
        "bias": (40, 8, 30),
        "other": (64, 64),
    }
    assert local_shapes(options, shapes) == {
        "params": {"kernel": (12, 4), "bias": (16,), "short_bias": (16,)},
        "mu": {"kernel": (12, 16)},  # a later rule does not overrule an earlier one
        "tail_bias": (6, 9),  # 4 divides no axis
        "bias": (10, 8, 30),  # the largest axis that 4 divides
        "other": (64, 64),  # no rule
    }


def test_axis_of_stacked_layers_is_not_split():
    options = ParallelOptions(axes=MeshAxes(fsdp=4), min_size=1)
    attention = {
        "qkv": {"kernel": (64, 32, 3, 8, 4), "bias": (64, 3, 8, 4)},
        "out": {"kernel": (64, 8, 4, 32), "bias": (64, 32)},
    }
    shapes = {
        "variables": {"params": {"net": {"layers": {"attention": attention}}}},
        "optimizer": {"mu": {"net": {"layers": {"norm": {"scale": (64, 6)}}}}},
        "layers": (64, 32),
    }
    attention = {
        "qkv": {"kernel": (64, 8, 3, 8, 4), "bias": (64, 3, 2, 4)},
        "out": {"kernel": (64, 8, 4, 8), "bias": (64, 8)},
    }
    assert local_shapes(options, shapes) == {
        "variables": {"params": {"net": {"layers": {"attention": attention}}}},
        # 4 divides the number of layers alone.
        "optimizer": {"mu": {"net": {"layers": {"norm": {"scale": (64, 6)}}}}},
        # An array of that name is no layer.
        "layers": (16, 32),
    }


@pytest.mark.parametrize(
    "name, shape, axis",
    [
        ("params/layers/kernel", (48, 8, 4), None),
        ("params/layers/kernel", (48, 8, 8), 1),
        ("params/layers/kernel", (1, 8, 16), 2),
        ("params/kernel", (48, 8, 4), 0),
        ("params/other_layers/kernel", (48, 8, 4), 0),
        ("params/layers/count", (), None),
    ],
)
def test_smallest_size_counts_one_layer(name, shape, axis):
    options = ParallelOptions(axes=MeshAxes(fsdp=4), min_size=64)
    assert split_axis(options, name, shape) == axis


@pytest.mark.parametrize(
    "options, words",
    [
        ({"strategy": "ddp"}, "strategy must be 'sharded' or 'pmap', not 'ddp'"),
        (
            {"strategy": "pmap", "axes": MeshAxes(fsdp=2)},
            "axes.fsdp 2 needs strategy 'sharded'",
        ),
        (
            {"rules": ((".*", "split"),)},
            "rules[0][1] must be 'fsdp' or 'replicate', not 'split'",
        ),
    ],
)
def test_options_out_of_range_raise_value_error(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        ParallelOptions(**options)


@pytest.mark.parametrize(
    "axes, words",
    [
        ({"fsdp": 0}, "fsdp must be at least 1, not 0"),
        ({"data": 0}, "data must be at least 1, or -1, not 0"),
        ({"data": -2}, "data must be at least -1, not -2"),
    ],
)
def test_axes_out_of_range_raise_value_error(axes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        MeshAxes(**axes)
