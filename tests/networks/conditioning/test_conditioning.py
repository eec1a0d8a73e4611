"""How sources enter a network: over its input or as tokens, dropped or padded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conditional import ConditionalNetwork
from regen_jax.networks.conditioning.automatic import AutomaticConditioning
from regen_jax.networks.conditioning.spatial import (
    AlignedFeatures,
    SpatialConditioning,
    SpatialEncoder,
    is_spatial,
    resize_condition,
    target_estimate,
)
from regen_jax.networks.conditioning.tokens import TokenConditioning, TokenEncoder
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Category, Padded, Tokens, zeros
from tests.networks.parameters import random_variables

TARGET = Array((4, 4, 1))
AUTOMATIC = AutomaticConditioning()
OPTIONS = DiTOptions(patch=2, width=8, num_layers=1, num_heads=2)


def network(source_space, conditioning=AUTOMATIC) -> ConditionalNetwork:
    encoder = conditioning.module(source_space, TARGET, 8, jnp.float32)
    return ConditionalNetwork(encoder, OPTIONS.module(TARGET), 8, jnp.float32)


@pytest.mark.parametrize(
    ("source_space", "expected"),
    [
        (Array((2, 4, 3)), True),
        (Array((4, 4, 1)), True),
        (Array((3, 4, 1)), False),
        (Array((8, 8, 1)), False),
        (Array((4, 1)), False),
        (Category(3), False),
    ],
)
def test_array_whose_axes_divide_the_target_is_spatial(source_space, expected):
    assert is_spatial(source_space, TARGET) == expected
    module = AUTOMATIC.module(source_space, TARGET, 8, jnp.float32)
    assert isinstance(module, SpatialEncoder if expected else TokenEncoder)
    if not expected:
        with pytest.raises(ValueError, match="spatial conditioning needs an Array"):
            SpatialConditioning().module(source_space, TARGET, 8, jnp.float32)


def test_resized_condition_is_normalized_and_linear_between_centers():
    source_space, target_space = Array((2, 1), 0, 10), Array((4, 1))
    source = jnp.array([[[0.0], [10.0]]])
    resized = resize_condition(source_space, target_space, source)
    np.testing.assert_allclose(resized[0, :, 0], [-1, -0.5, 0.5, 1], atol=1e-6)
    estimate = target_estimate(source_space, target_space, source)
    np.testing.assert_array_equal(estimate.mean, resized)


def test_estimate_of_the_target_is_in_the_first_aligned_features():
    values = jnp.arange(24.0).reshape(1, 4, 6)
    source = Padded(values, jnp.array([3]))
    estimate = target_estimate(AlignedFeatures((4, 6)), Array((4, 2), 0, 5), source)
    np.testing.assert_array_equal(estimate.mean, values[..., :2])


@pytest.mark.parametrize("source_space", [Tokens(2, 3), Array((2, 2, 3))])
def test_source_of_other_channels_gives_no_estimate(source_space):
    source = zeros(source_space, 1)
    assert target_estimate(source_space, TARGET, source) is None


def test_padding_of_a_source_is_not_seen():
    net = network(Tokens(4, 5, padded=True))
    source = jnp.array([[3, 1, 0, 0], [3, 1, 0, 4], [3, 1, 4, 0], [0, 0, 0, 0]])
    x, drop = jnp.ones((4, 4, 4, 1)), jnp.zeros(4, bool)
    variables = random_variables(net, source, drop, x)
    apply = jax.jit(net.apply)
    y = apply(variables, source, drop, x)
    np.testing.assert_array_equal(y[0], y[1])
    assert np.isfinite(y).all()
    assert np.abs(y[0] - y[2]).max() > 1e-3
    # Nor is its length, if the source is dropped.
    y = apply(variables, source, ~drop, x)
    np.testing.assert_allclose(y[0], y[3], atol=1e-6)


@pytest.mark.parametrize(
    ("source_space", "conditioning"),
    [
        (Category(3), AUTOMATIC),
        (Tokens(2, 3), AUTOMATIC),
        (Tokens(2, 3, depth=2), AUTOMATIC),
        (Array((2, 2, 1)), SpatialConditioning()),
        (Array((2, 2, 1)), TokenConditioning()),
    ],
)
def test_dropped_source_has_no_influence(source_space, conditioning):
    net = network(source_space, conditioning)
    source = jnp.concatenate([zeros(source_space, 1), zeros(source_space, 1) + 1])
    x, time, drop = jnp.ones((2, 4, 4, 1)), jnp.full(2, 0.3), jnp.zeros(2, bool)
    variables = random_variables(net, source, drop, x, time)
    apply = jax.jit(net.apply)
    conditional = apply(variables, source, drop, x, time)
    dropped = apply(variables, source, ~drop, x, time)
    assert np.abs(conditional[0] - conditional[1]).max() > 1e-3
    np.testing.assert_allclose(dropped[0], dropped[1], atol=1e-5)
    assert np.abs(conditional - dropped).max(axis=(1, 2, 3)).min() > 1e-3


def test_aligned_features_as_tokens_raise_value_error():
    with pytest.raises(ValueError, match="'spatial' conditioning, not 'tokens'"):
        TokenConditioning().module(AlignedFeatures((4, 6)), TARGET, 8, jnp.float32)
