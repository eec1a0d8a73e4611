import jax
import numpy as np
import pytest

from tests.training.golden_weights import fill, recorded_leaves

F32 = np.float32
MOVED = [
    (r"/stack/", "/blocks_{layer}/"),
    (r"/late_stack/", "/blocks_{layer+2}/"),
    (r"/reader/", "/encoder/"),
]
"""Of the paths below to those that were recorded."""


def shapes(tree: dict) -> dict:
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, F32), tree, is_leaf=_is_shape
    )


def _is_shape(x: object) -> bool:
    return isinstance(x, tuple)


@pytest.fixture
def recorded() -> dict:
    blocks = {
        f"blocks_{layer}": {"qkv": {"kernel": (4, 12), "bias": (12,)}}
        for layer in range(3)
    }
    return shapes({"params": {"encoder": blocks, "head": {"kernel": (4, 5)}}})


@pytest.fixture
def moved() -> dict:
    def blocks(layers: int) -> dict:
        return {"qkv": {"kernel": (layers, 4, 3, 2, 2), "bias": (layers, 3, 2, 2)}}

    reader = {"stack": blocks(2), "late_stack": blocks(1)}
    return shapes({"params": {"reader": reader, "head": {"kernel": (4, 5)}}})


def test_stacked_and_reshaped_leaves_hold_the_recorded_numbers(recorded, moved):
    before = fill("prior", recorded, ())["params"]
    after = fill("prior", moved, MOVED)["params"]
    for name, shape in (("kernel", (4, 3, 2, 2)), ("bias", (3, 2, 2))):
        old = [before["encoder"][f"blocks_{i}"]["qkv"][name] for i in range(3)]
        old = np.stack([leaf.reshape(shape) for leaf in old])
        new = [after["reader"][stack]["qkv"][name] for stack in ("stack", "late_stack")]
        np.testing.assert_array_equal(np.concatenate(new), old)
    np.testing.assert_array_equal(after["head"]["kernel"], before["head"]["kernel"])


def test_moved_leaves_account_for_each_recorded_leaf_once(recorded, moved):
    expected = recorded_leaves("prior", recorded, ())
    assert len(expected) == 7
    assert recorded_leaves("prior", moved, MOVED) == expected


def test_leaves_differ_by_path_and_stage_and_integers_are_zero():
    leaf = jax.ShapeDtypeStruct((8,), F32)
    tree = {"params": {"a": leaf, "b": leaf}, "progress": np.ones(2, np.int32)}
    prior, decoder = fill("prior", tree, ()), fill("decoder", tree, ())
    drawn = [t["params"][name] for t in (prior, decoder) for name in "ab"]
    assert len({leaf.tobytes() for leaf in drawn}) == 4
    np.testing.assert_array_equal(prior["progress"], 0)
    assert all(leaf.dtype == F32 for leaf in drawn)
