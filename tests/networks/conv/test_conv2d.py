import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conv.conv2d import (
    Decoder,
    Encoder,
    ResidualBlock,
    depth_to_space,
    halved,
    space_to_depth,
)
from regen_jax.networks.layer_stack import Layer


def test_depth_to_space_inverts_space_to_depth():
    x = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
    y = space_to_depth(jnp.asarray(x))
    for row, column in np.ndindex(2, 3):
        block = x[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(y[:, row, column], block.reshape(2, 12))
    np.testing.assert_array_equal(depth_to_space(y), x)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(("widths", "num_blocks"), [((4,), 0), ((4, 6), 1)])
def test_shapes_follow_widths_and_dtype(widths, num_blocks, dtype):
    factor = 2 ** len(widths)
    rng = jax.random.key(0)
    encoder = Encoder(widths, 5, num_blocks, dtype)
    image = jax.ShapeDtypeStruct((2, 2 * factor, 3 * factor, 1), jnp.float32)
    latents, encoder_variables = jax.eval_shape(encoder.init_with_output, rng, image)
    assert latents.shape == (2, 2, 3, 5) and latents.dtype == dtype
    decoder = Decoder(widths, 3, num_blocks, dtype)
    output, decoder_variables = jax.eval_shape(decoder.init_with_output, rng, latents)
    assert output.shape == (2, 2 * factor, 3 * factor, 3)
    assert output.dtype == jnp.float32
    variables = jax.tree.leaves((encoder_variables, decoder_variables))
    assert {x.dtype for x in variables} == {np.dtype(np.float32)}


class Halved(nn.Module):
    """The first convolution of an encoder that strides."""

    @nn.compact
    def __call__(self, x):
        return halved(x, 1, jnp.float32, "stride")


def test_strided_convolution_begins_at_the_first_pixel():
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 1)).astype(np.float32)
    convolve = jax.jit(Halved().apply)
    for row, column in np.ndindex(3, 3):
        kernel = np.zeros((3, 3, 1, 1), np.float32)
        kernel[row, column] = 1
        params = {"Conv_0": {"kernel": kernel, "bias": np.zeros(1, np.float32)}}
        # Zeros stand after the last row and column, and none before the first ones.
        padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        expected = padded[:, row : row + 4 : 2, column : column + 6 : 2]
        halved = convolve({"params": params}, x)
        np.testing.assert_array_equal(halved, expected[:, :2, :3])


def test_group_norm_has_the_epsilon_of_latent_diffusion():
    block = ResidualBlock(norm="group")
    x = 1e-3 * np.random.default_rng(0).normal(size=(1, 2, 2, 64)).astype(np.float32)
    layer = Layer(0)
    variables = jax.jit(lambda key: block.init(key, x, layer))(jax.random.key(0))
    assert set(variables["params"]) == {"GroupNorm_0", "Conv_0", "Conv_1"}
    _, state = jax.jit(
        lambda v: block.apply(
            v, x, layer, capture_intermediates=lambda m, _: m.name == "GroupNorm_0"
        )
    )(variables)
    (normalized,) = state["intermediates"]["GroupNorm_0"]["__call__"]
    groups = x.reshape(1, 4, 32, 2)
    mean, variance = groups.mean(axis=(1, 3)), groups.var(axis=(1, 3))
    expected = (groups - mean[:, None, :, None]) / np.sqrt(
        variance[:, None, :, None] + 1e-6
    )
    np.testing.assert_allclose(normalized, expected.reshape(x.shape), atol=1e-4)
