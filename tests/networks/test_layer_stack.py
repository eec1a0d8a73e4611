"""A stack of layers against a loop over separate blocks."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.embeddings import dropout
from regen_jax.networks.layer_stack import Layer, LayerStack, reading_params_by

BATCH, WIDTH, LAYERS, FIRST = 3, 4, 3, 5
X = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, WIDTH)), jnp.float32)
SHIFT = jnp.arange(WIDTH) / WIDTH
KEYS = jax.random.split(jax.random.key(1), BATCH)
INPUTS = [jnp.full((BATCH, 1), float(layer)) for layer in range(LAYERS)]


class Block(nn.Module):
    """A residual layer with dropout, an input of its own and an output."""

    width: int
    rate: float = 0.0

    @nn.compact
    def __call__(self, x, layer, shift, keys):
        y = nn.Dense(self.width, name="up")(x + shift)
        if layer.inputs is not None:
            y = y + layer.inputs
        y = dropout(jnp.tanh(y), keys, self.rate, 3 * layer.index + 1)
        y = nn.Dense(x.shape[-1], name="down")(y)
        return x + y, y.mean(axis=-1)


class Network(nn.Module):
    """A stack that is not at the root of its network."""

    remat: str = "none"
    rate: float = 0.0

    def setup(self):
        block = functools.partial(Block, 2 * WIDTH, self.rate)
        self.layers = LayerStack(block, LAYERS, FIRST, self.remat)

    def __call__(self, x, keys=None, per_layer=None):
        return self.layers(x, SHIFT, keys, per_layer=per_layer)


def loop(variables, x, keys=None, per_layer=None, rate=0.0):
    """The loop that the stack stands for."""
    outputs = []
    for index in range(LAYERS):
        params = jax.tree.map(lambda leaf, i=index: leaf[i], variables["params"])
        layer = Layer(FIRST + index, per_layer and per_layer[index])
        block = {"params": params["layers"]}
        x, output = Block(2 * WIDTH, rate).apply(block, x, layer, SHIFT, keys)
        outputs.append(output)
    return x, outputs


@pytest.fixture(scope="module")
def variables():
    return jax.jit(Network().init)(jax.random.key(0), X)


def assert_close(actual, expected):
    compare = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(compare, actual, expected)


def test_parameters_have_a_leading_axis_of_layers(variables):
    shapes = jax.tree.map(jnp.shape, variables["params"])
    down = {"kernel": (LAYERS, 2 * WIDTH, WIDTH), "bias": (LAYERS, WIDTH)}
    assert shapes["layers"]["down"] == down
    assert set(shapes) == {"layers"} and set(shapes["layers"]) == {"up", "down"}
    kernel = np.asarray(variables["params"]["layers"]["up"]["kernel"])
    assert np.abs(kernel[0] - kernel[1]).min() > 1e-4
    abstract = jax.eval_shape(Network().init, jax.random.key(0), X)
    assert jax.tree.map(jnp.shape, abstract["params"]) == shapes


@pytest.mark.parametrize("num_layers", [1, 64])
def test_initial_scale_does_not_depend_on_number_of_layers(num_layers):
    x = jnp.zeros((1, 64))
    stack = LayerStack(functools.partial(Block, 64), num_layers)
    params = jax.jit(stack.init)(jax.random.key(0), x, jnp.zeros(64), None)["params"]
    for name in ("up", "down"):
        np.testing.assert_allclose(np.std(params[name]["kernel"]), 1 / 8, rtol=0.05)


@pytest.mark.parametrize("remat", ["none", "full"])
def test_stack_equals_loop_in_values_and_gradients(variables, remat):
    network = Network(remat, rate=0.5)

    def total(apply, variables, x):
        x, outputs = apply(variables, x, KEYS, INPUTS)
        return jnp.sum(x**2) + sum(jnp.sum(jnp.sin(y)) for y in outputs)

    both = jax.jit(jax.value_and_grad(total, argnums=(1, 2)), static_argnums=0)
    actual = both(network.apply, variables, X)
    assert_close(actual, both(functools.partial(loop, rate=0.5), variables, X))


def test_outputs_are_listed_by_layer(variables):
    x, outputs = Network().apply(variables, X, None, INPUTS)
    assert len(outputs) == LAYERS
    assert_close((x, outputs), loop(variables, X, None, INPUTS))


def test_dropout_differs_by_layer_and_by_key(variables):
    # Without its input, a layer's output tells which values were dropped.
    same = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], LAYERS, 0), variables)
    apply = Network(rate=0.5).apply
    _, outputs = apply(same, jnp.zeros_like(X), KEYS)
    dropped = [np.asarray(output) for output in outputs]
    assert np.abs(dropped[0] - dropped[1]).max() > 1e-4
    assert np.abs(dropped[0][0] - dropped[0][1]).max() > 1e-4
    assert_close(apply(variables, X, KEYS), loop(variables, X, KEYS, rate=0.5))


def test_stack_within_vmap_equals_stack_of_rows(variables):
    apply = functools.partial(Network().apply, variables)
    x = jnp.stack([X, 2 * X])
    mapped, _ = jax.jit(jax.vmap(apply))(x)
    assert_close(mapped, jnp.stack([apply(row)[0] for row in x]))


@pytest.mark.parametrize("remat", ["none", "full"])
def test_params_are_read_layer_by_layer_through_the_bound_function(variables, remat):
    shapes = []

    def double(path, params):
        shapes.append((path, jnp.shape(params["down"]["bias"])))
        return jax.tree.map(lambda leaf: 2 * leaf, params)

    network = Network(remat)
    with reading_params_by(double):
        doubled, _ = network.apply(variables, X)
    assert set(shapes) == {(("layers",), (WIDTH,))}
    expected, _ = loop(jax.tree.map(lambda leaf: 2 * leaf, variables), X)
    assert_close(doubled, expected)
    assert_close(network.apply(variables, X), loop(variables, X))


def test_block_is_traced_once_for_all_layers_and_stacks():
    traced = []

    class Traced(Block):
        def __call__(self, *inputs):
            traced.append(inputs)
            return super().__call__(*inputs)

    def two_stacks(x):
        for first in (0, LAYERS):
            stack = LayerStack(functools.partial(Traced, WIDTH), LAYERS, first)
            (x, _), _ = stack.init_with_output(jax.random.key(0), x, SHIFT, None)
        return x

    jax.eval_shape(two_stacks, X)
    assert len(traced) == 2  # Once for `init`, and once for what it returns.


def test_block_whose_fields_are_not_hashable_raises():
    stack = LayerStack(functools.partial(Block, [WIDTH]), LAYERS)
    with pytest.raises(
        TypeError, match="fields of Block must be hashable, such as tup"
    ):
        stack.init(jax.random.key(0), X, SHIFT, None)


def test_stack_of_no_layers_has_no_parameters():
    stack = LayerStack(functools.partial(Block, WIDTH), num_layers=0)
    (x, outputs), variables = stack.init_with_output(jax.random.key(0), X, SHIFT, None)
    assert outputs == [] and not variables
    np.testing.assert_array_equal(x, X)


def test_missing_parameters_raise():
    with pytest.raises(KeyError):
        Network().apply({}, X)
