import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.conv.conv2d import (
    Decoder,
    Encoder,
    depth_to_space,
    lecun_normal,
    space_to_depth,
)


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


def test_kernel_initializer_equals_that_of_flax():
    rng, shape = jax.random.key(0), (3, 3, 2, 4)
    np.testing.assert_array_equal(
        lecun_normal(rng, shape), nn.initializers.lecun_normal()(rng, shape)
    )
