"""The diffusion transformer: its patches, its start and its conditioning."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conditioning import ConditionalDiT, as_canvas, is_canvas
from regen_jax.networks.dit import DiT, grid_positions, patchify, sinusoids, unpatchify
from regen_jax.spaces import Array, Category, Tokens, zeros


def network(num_layers=1, **options) -> DiT:
    return DiT((4, 4, 1), 2, width=8, num_layers=num_layers, num_heads=2, **options)


def random_variables(net, *inputs):
    """Parameters off their start, at which much of a DiT is exactly zero."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.3, p.shape).astype(np.float32),
        jax.eval_shape(net.init, jax.random.key(0), *inputs),
    )


@pytest.mark.parametrize(
    ("shape", "patch"),
    [((3,), 5), ((6, 2), 3), ((4, 6, 3), 2), ((4, 4, 1), 1), ((2, 4, 6, 1), 2)],
)
def test_patches_round_trip(shape, patch):
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    patches = patchify(x, patch)
    rank = len(shape) - 1
    assert patches.shape == (
        2,
        x[0].size // (patch**rank * shape[-1]),
        *patches.shape[2:],
    )
    corner = x[(slice(None), *[slice(0, patch)] * rank)]
    np.testing.assert_array_equal(patches[:, 0], corner.reshape(2, -1))
    np.testing.assert_array_equal(unpatchify(patches, shape, patch), x)


def test_patches_run_along_rows():
    x = np.arange(16).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(
        patchify(x, 2)[0],
        [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]],
    )


def test_sinusoids_match_their_formula():
    positions = np.array([0.0, 1.0, 7.5])
    expected = [
        [np.cos(p), np.cos(p / 100), np.sin(p), np.sin(p / 100)] for p in positions
    ]
    np.testing.assert_allclose(sinusoids(positions, 4), expected, atol=1e-6)


@pytest.mark.parametrize(("grid", "width"), [((), 6), ((5,), 7), ((3, 4), 10)])
def test_every_place_has_a_position_of_its_own(grid, width):
    table = np.asarray(grid_positions(grid, width))
    assert table.shape == (np.prod(grid, dtype=int), width)
    assert len(np.unique(table.round(6), axis=0)) == len(table)


def test_starts_at_zero_with_blocks_that_are_the_identity():
    net = network(num_layers=2)
    x, condition = jnp.ones((2, 4, 4, 3)), jnp.ones((2, 8))
    variables = jax.jit(net.init)(jax.random.key(0), x, condition)
    apply = functools.partial(net.apply, capture_intermediates=True)
    y, state = jax.jit(apply)(variables, x, condition)
    np.testing.assert_array_equal(y, np.zeros((2, 4, 4, 1)))
    blocks = [
        state["intermediates"][f"block_{i}"]["__call__"][0]
        for i in range(net.num_layers)
    ]
    np.testing.assert_array_equal(blocks[0], blocks[1])


def test_every_input_reaches_every_output():
    net = network()
    x, condition = jnp.ones((1, 4, 4, 2)), jnp.ones((1, 8))
    context = jnp.ones((1, 3, 8))
    variables = random_variables(net, x, condition, context)

    def total(x, condition, context):
        return jnp.square(net.apply(variables, x, condition, context)).sum()

    for gradient in jax.jit(jax.grad(total, (0, 1, 2)))(x, condition, context):
        assert (np.abs(gradient) > 1e-8).mean() > 0.9


def test_remat_gives_the_same_gradients_even_with_dropout():
    x, condition = jnp.ones((2, 4, 4, 1)), jnp.ones((2, 8))
    keys = jax.random.split(jax.random.key(1), 2)
    variables = random_variables(network(), x, condition)

    def gradients(remat):
        def loss(variables):
            net = network(remat=remat, dropout=0.5)
            y = net.apply(variables, x, condition, keys=keys)
            return jnp.square(y).mean()

        return jax.jit(jax.value_and_grad(loss))(variables)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        gradients(False),
        gradients(True),
    )


def test_dropout_is_an_examples_own():
    net = network(dropout=0.5)
    x, condition = jnp.ones((2, 4, 4, 1)), jnp.ones((2, 8))
    variables = random_variables(net, x, condition)
    keys = jax.random.split(jax.random.key(1), 2)
    apply = jax.jit(net.apply)
    y = apply(variables, x, condition, None, keys)
    swapped = apply(variables, x, condition, None, keys[::-1])
    assert not np.allclose(y[0], y[1])
    np.testing.assert_allclose(y, swapped[::-1], atol=1e-5)


def test_bfloat16_is_near_float32():
    x, condition = jnp.ones((1, 4, 4, 1)), jnp.ones((1, 8))
    variables = random_variables(network(), x, condition)
    y = jax.jit(network().apply)(variables, x, condition)
    half = jax.jit(network(dtype=jnp.bfloat16).apply)(variables, x, condition)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, y, rtol=0.05, atol=0.02)


@pytest.mark.parametrize(
    ("source", "fits"),
    [
        (Array((2, 4, 3)), True),
        (Array((4, 4, 1)), True),
        (Array((3, 4, 1)), False),
        (Array((8, 8, 1)), False),
        (Array((4, 1)), False),
        (Category(3), False),
    ],
)
def test_what_can_be_a_canvas(source, fits):
    assert is_canvas(source, Array((4, 4, 1))) == fits


def test_canvas_is_normalized_and_linear_between_centres():
    source, target = Array((2, 1), 0, 10), Array((4, 1))
    a = jnp.array([[[0.0], [10.0]]])
    canvas = as_canvas(source, target, a)
    np.testing.assert_allclose(canvas[0, :, 0], [-1, -0.5, 0.5, 1], atol=1e-6)


def test_padding_of_a_source_is_not_seen():
    source = Tokens(4, 5, padded=True)
    net = ConditionalDiT(source, Array((4, 4, 1)), network())
    a = jnp.array([[3, 1, 0, 0], [3, 1, 0, 4], [3, 1, 4, 0], [0, 0, 0, 0]])
    x, drop = jnp.ones((4, 4, 4, 1)), jnp.zeros(4, bool)
    variables = random_variables(net, a, drop, x)
    y = jax.jit(net.apply)(variables, a, drop, x)
    np.testing.assert_array_equal(y[0], y[1])
    assert np.isfinite(y).all()
    assert np.abs(y[0] - y[2]).max() > 1e-3
    # Nor is a length, where the source itself is withheld.
    y = jax.jit(net.apply)(variables, a, ~drop, x)
    np.testing.assert_allclose(y[0], y[3], atol=1e-6)


@pytest.mark.parametrize(
    "source", [Category(3), Tokens(2, 3), Tokens(2, 3, depth=2), Array((2, 2, 1))]
)
def test_a_dropped_source_has_no_influence(source):
    target = Array((4, 4, 1))
    net = ConditionalDiT(source, target, network())
    a = jnp.concatenate([zeros(source, 1), zeros(source, 1) + 1])
    x, time, drop = jnp.ones((2, 4, 4, 1)), jnp.full(2, 0.3), jnp.zeros(2, bool)
    variables = random_variables(net, a, drop, x, time)
    apply = jax.jit(net.apply)
    kept = apply(variables, a, drop, x, time)
    dropped = apply(variables, a, ~drop, x, time)
    assert np.abs(kept[0] - kept[1]).max() > 1e-3
    np.testing.assert_allclose(dropped[0], dropped[1], atol=1e-5)
    assert np.abs(kept - dropped).max(axis=(1, 2, 3)).min() > 1e-3
