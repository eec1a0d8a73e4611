"""The diffusion transformer: its patches, its start, its condition and dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conditioning.interface import Condition
from regen_jax.networks.dit import (
    DiT,
    DiTOptions,
    patch_sizes,
    patchify,
    unpatchify,
)
from regen_jax.spaces import Array
from tests.networks.parameters import random_variables


def network(num_layers=1, **options) -> DiT:
    return DiT((4, 4, 1), 2, width=8, num_layers=num_layers, num_heads=2, **options)


@pytest.mark.parametrize(
    ("shape", "patch"),
    [
        ((3,), 5),
        ((6, 2), 3),
        ((4, 6, 3), 2),
        ((4, 4, 1), 1),
        ((2, 4, 6, 1), 2),
        ((3, 4, 6, 2), (3, 1, 2)),
    ],
)
def test_unpatchify_inverts_patchify(shape, patch):
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    patches = patchify(x, patch)
    sizes = patch_sizes(patch, len(shape) - 1)
    num_values = int(np.prod(sizes)) * shape[-1]
    assert patches.shape == (2, x[0].size // num_values, num_values)
    corner = x[(slice(None), *[slice(0, size) for size in sizes])]
    np.testing.assert_array_equal(patches[:, 0], corner.reshape(2, -1))
    np.testing.assert_array_equal(unpatchify(patches, shape, patch), x)


def test_patches_are_row_major():
    x = np.arange(16).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(
        patchify(x, 2)[0],
        [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]],
    )


def test_new_network_outputs_zero_and_its_blocks_are_the_identity():
    net = network(num_layers=2)
    x, condition = jnp.ones((2, 4, 4, 3)), Condition(jnp.ones((2, 8)))
    variables = jax.jit(net.init)(jax.random.key(0), x, condition)
    apply = jax.jit(net.apply)
    y = apply(variables, x, condition)
    np.testing.assert_array_equal(y, np.zeros((2, 4, 4, 1)))

    rng = np.random.default_rng(0)
    params = dict(variables["params"])
    params["head"] = jax.tree.map(lambda p: rng.normal(size=p.shape), params["head"])
    expected = apply({"params": params}, x, condition)
    assert np.abs(expected).max() > 0.1
    modulation = params["layers"]["modulation"]
    layers = jax.tree.map(lambda p: p + rng.normal(size=p.shape), params["layers"])
    params["layers"] = layers | {"modulation": modulation}
    y = apply({"params": params}, x, condition)
    np.testing.assert_array_equal(y, expected)


def test_every_input_reaches_every_output():
    net = network()
    x, condition = (
        jnp.ones((1, 4, 4, 2)),
        Condition(jnp.ones((1, 8)), jnp.ones((1, 3, 8))),
    )
    variables = random_variables(net, x, condition)

    def total(x, vector, tokens):
        return jnp.square(net.apply(variables, x, Condition(vector, tokens))).sum()

    inputs = x, condition.vector, condition.tokens
    for gradient in jax.jit(jax.grad(total, (0, 1, 2)))(*inputs):
        assert (np.abs(gradient) > 1e-8).mean() > 0.9


def test_masked_tokens_and_frames_have_no_influence():
    net = DiT((6, 1), 2, width=8, num_layers=1, num_heads=2)
    x = np.random.default_rng(1).normal(size=(2, 6, 1)).astype(np.float32)
    token_mask = jnp.array([[True, True, False], [True, False, False]])
    frame_mask = jnp.arange(6) < jnp.array([[3], [6]])
    tokens = np.random.default_rng(2).normal(size=(2, 3, 8)).astype(np.float32)

    def condition(tokens):
        return Condition(jnp.ones((2, 8)), tokens, token_mask, None, frame_mask)

    variables = random_variables(net, x, condition(tokens))
    apply = jax.jit(lambda x, tokens: net.apply(variables, x, condition(tokens)))
    y = apply(x, tokens)
    # The second patch of the first example is full in part, and counts.
    other = np.where((np.arange(6) < 4)[:, None] | [[[False]], [[True]]], x, x + 1)
    changed = np.where(np.asarray(token_mask)[..., None], tokens, tokens - 1)
    np.testing.assert_allclose(apply(other, changed)[0, :4], y[0, :4], atol=1e-6)
    np.testing.assert_allclose(apply(other, changed)[1], y[1], atol=1e-6)
    assert np.abs(apply(x + 1, tokens) - y).max() > 1e-3


def test_remat_with_dropout_gives_equal_gradients():
    x, condition = jnp.ones((2, 4, 4, 1)), Condition(jnp.ones((2, 8)))
    keys = jax.random.split(jax.random.key(1), 2)
    variables = random_variables(network(), x, condition)

    def gradients(remat):
        def loss(variables):
            net = network(remat=remat, dropout=0.5)
            y = net.apply(variables, x, condition, keys=keys)
            return jnp.square(y).mean()

        return jax.jit(jax.value_and_grad(loss))(variables)

    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
        gradients("none"),
        gradients("full"),
    )


def test_dropout_depends_on_the_example_key_alone():
    net = network(dropout=0.5)
    x, condition = jnp.ones((2, 4, 4, 1)), Condition(jnp.ones((2, 8)))
    variables = random_variables(net, x, condition)
    keys = jax.random.split(jax.random.key(1), 2)
    apply = jax.jit(net.apply)
    y = apply(variables, x, condition, keys)
    swapped = apply(variables, x, condition, keys[::-1])
    assert not np.allclose(y[0], y[1])
    np.testing.assert_allclose(y, swapped[::-1], atol=1e-5)


def test_bfloat16_output_is_near_float32():
    x, condition = jnp.ones((1, 4, 4, 1)), Condition(jnp.ones((1, 8)))
    variables = random_variables(network(), x, condition)
    y = jax.jit(network().apply)(variables, x, condition)
    half = jax.jit(network(dtype=jnp.bfloat16).apply)(variables, x, condition)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, y, rtol=0.05, atol=0.02)


def test_patch_that_does_not_divide_the_target_raises():
    with pytest.raises(ValueError, match="patch 3 does not divide .* fit are 1, 2, 4"):
        DiTOptions(patch=3).module(Array((4, 8, 1)))


def test_patches_of_clips_have_a_size_in_time():
    options = DiTOptions(patch=2, patch_time=3, width=12, num_layers=1, num_heads=2)
    net = options.module(Array((6, 4, 8, 5)))
    x, condition = jnp.ones((1, 6, 4, 8, 5)), Condition(jnp.ones((1, 12)))
    y, variables = jax.eval_shape(net.init_with_output, jax.random.key(0), x, condition)
    assert y.shape == x.shape
    assert variables["params"]["positions"].shape == (2 * 2 * 4, 12)
    assert variables["params"]["patches"]["kernel"].shape == (3 * 2 * 2 * 5, 12)


@pytest.mark.parametrize("shape", [(4, 4, 1), (5, 4, 4, 1)])
def test_patch_time_that_does_not_fit_the_target_raises(shape):
    message = "patch_time needs a target of frames, height, width and channels, whose "
    with pytest.raises(ValueError, match=f"{message}number of frames 3 divides, not "):
        DiTOptions(patch=2, patch_time=3).module(Array(shape))
