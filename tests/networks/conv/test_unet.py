"""The U-Net of images and clips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.conv.unet import UNetOptions
from regen_jax.spaces import Array
from tests.networks.parameters import random_variables

CLIP, IMAGE = Array((3, 8, 12, 2)), Array((8, 12, 2))


def apply(space, x, *, keys=None, vector=None, dropout=0.0):
    module = UNetOptions((4, 6), dropout=dropout, width=6).module(space)
    vector = jnp.zeros((2, 6)) if vector is None else vector
    condition = Condition(vector)
    variables = random_variables(module, x, condition)
    return np.asarray(jax.jit(module.apply)(variables, x, condition, keys))


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("space", [CLIP, IMAGE], ids=str)
def test_output_is_zero_at_the_start_and_has_the_shape_of_the_target(space):
    module = UNetOptions((4, 6), width=6).module(space)
    x, condition = noise(2, *space.shape[:-1], 5), Condition(jnp.zeros((2, 6)))
    y, _ = jax.jit(module.init_with_output)(jax.random.key(0), x, condition)
    assert y.shape == (2, *space.shape) and y.dtype == jnp.float32
    assert not np.any(y)


def test_inner_output_moves_with_the_input():
    """By as many pixels as a level folds, of an input within a margin of zeros."""
    space = Array((2, 80, 80, 1))
    x = np.zeros((2, 2, 80, 80, 3), np.float32)
    x[:, :, 36:44, 32:40] = noise(2, 2, 8, 8, 3)
    y, other = apply(space, x), apply(space, np.roll(x, (4, 8), axis=(2, 3)))
    inner = y[:, :, 32:48, 28:44]
    np.testing.assert_allclose(other[:, :, 36:52, 36:52], inner, atol=1e-3)
    assert np.std(inner) > 0.1


def test_every_frame_reads_every_frame():
    x = noise(2, 3, 8, 12, 2)
    y = apply(CLIP, x)
    for t in range(3):
        changed = x.copy()
        changed[:, t] += 1
        difference = np.abs(apply(CLIP, changed) - y).max(axis=(0, 2, 3, 4))
        assert (difference > 1e-4).all()


def test_vector_modulates_the_output():
    x = noise(2, 3, 8, 12, 2)
    vector = np.zeros((2, 6), np.float32)
    vector[1] = 1
    difference = np.abs(apply(CLIP, x, vector=vector) - apply(CLIP, x))
    assert difference[0].max() < 1e-5 and difference[1].max() > 1e-3


def test_dropout_draws_by_the_key_of_each_example():
    x = noise(2, 8, 12, 2)
    keys = jax.random.split(jax.random.key(0), 2)
    dropped = apply(IMAGE, x, keys=keys, dropout=0.5)
    np.testing.assert_array_equal(dropped, apply(IMAGE, x, keys=keys, dropout=0.5))
    assert np.abs(dropped - apply(IMAGE, x, dropout=0.5)).max() > 1e-3


def test_positions_stand_in_for_an_input():
    y = apply(IMAGE, None, vector=jnp.asarray(noise(2, 6)))
    assert y.shape == (2, *IMAGE.shape) and np.std(y, axis=(1, 2)).min() > 0


@pytest.mark.parametrize(
    "space, words",
    [
        (Array((6, 12, 2)), "4 does not divide"),
        (Array((12, 2)), r"needs images \[H, W, C\] or clips"),
        (Array((3, 8, 8, 2), padded=True), "constant length"),
    ],
)
def test_unsuitable_spaces_raise_value_error(space, words):
    with pytest.raises(ValueError, match=words):
        UNetOptions((4, 6)).module(space)


def test_unet_without_levels_raises_value_error():
    with pytest.raises(ValueError, match="widths must be one number or more"):
        UNetOptions(())
