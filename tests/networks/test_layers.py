import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import NameInUseError, ScopeParamNotFoundError, ScopeParamShapeError

from regen_jax.networks.layers import (
    Conv,
    Dense,
    Module,
    lecun_normal,
    ones,
    traced_once,
)


def test_kernel_initializer_equals_that_of_flax():
    rng, shape = jax.random.key(0), (3, 3, 2, 4)
    np.testing.assert_array_equal(
        lecun_normal(rng, shape), nn.initializers.lecun_normal()(rng, shape)
    )


def test_layers_start_as_those_of_flax():
    rng, x = jax.random.key(0), jnp.ones((2, 4, 4, 3))
    for own, other in ((Conv(5, (3, 3)), nn.Conv(5, (3, 3))), (Dense(5), nn.Dense(5))):
        jax.tree.map(
            np.testing.assert_array_equal, own.init(rng, x), other.init(rng, x)
        )


def test_initializers_are_not_traced_where_a_layer_is_applied():
    x = jnp.ones((2, 3))
    variables = Dense(4).init(jax.random.key(0), x)

    def fails(*_):
        raise AssertionError("called")

    layer = Dense(4, kernel_init=fails, bias_init=fails)
    np.testing.assert_array_equal(
        layer.apply(variables, x), Dense(4).apply(variables, x)
    )


def test_parameter_of_another_shape_raises():
    variables = Dense(4).init(jax.random.key(0), jnp.ones((2, 3)))
    with pytest.raises(ScopeParamShapeError):
        Dense(4).apply(variables, jnp.ones((2, 5)))
    with pytest.raises(ScopeParamNotFoundError):
        Dense(4).apply({"params": {"bias": jnp.ones(4)}}, jnp.ones((2, 3)))


def test_name_that_is_used_twice_raises():
    class Twice(Module):
        @nn.compact
        def __call__(self):
            return [self.param("a", ones, (3,)) for _ in range(2)]

    with pytest.raises(NameInUseError):
        Twice().init(jax.random.key(0))


def test_initializer_is_traced_once_for_each_shape_and_dtype():
    traced = []

    @traced_once
    def init(rng, shape, dtype=jnp.float32):
        traced.append((shape, dtype))
        return jnp.zeros(shape, dtype)

    layer = Dense(4, kernel_init=init)
    for width in (3, 3, 5):
        x = jnp.ones((2, width))
        variables = layer.init(jax.random.key(0), x)
        for _ in range(2):
            jax.jit(lambda variables, x=x: layer.apply(variables, x))(variables)
    assert traced == [((3, 4), jnp.float32), ((5, 4), jnp.float32)]
    assert init(jax.random.key(0), [3, 4], jnp.bfloat16).dtype == jnp.bfloat16
    assert len(traced) == 3
