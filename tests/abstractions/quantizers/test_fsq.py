import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.quantizers.fsq import FiniteScalarQuantizer

encode = jax.jit(FiniteScalarQuantizer.encode, static_argnums=0)
decode = jax.jit(FiniteScalarQuantizer.decode, static_argnums=0)
quantize = jax.jit(FiniteScalarQuantizer.quantize, static_argnums=0)

LEVELS = [(8, 4, 4), (5, 3), (2, 7, 2), (4,), (1000,), (8, 8, 8, 5, 5, 5)]


def latents_of(quantizer: FiniteScalarQuantizer, digits: np.ndarray) -> np.ndarray:
    """Latents whose bounded value is the level of each digit: f(z) inverted."""
    levels = np.array(quantizer.levels)
    reach = (levels - 1) * 1.001 / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    bounded = digits - levels // 2
    return np.arctanh((bounded + offset) / reach) - np.arctanh(offset / reach)


def digits_of(quantizer: FiniteScalarQuantizer) -> np.ndarray:
    """Digits of all codes, the first channel's fastest."""
    grids = np.meshgrid(*(np.arange(n) for n in quantizer.levels), indexing="ij")
    return np.stack([grid.ravel(order="F") for grid in grids], axis=-1)


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_is_reached_and_comes_back(levels):
    quantizer = FiniteScalarQuantizer(levels)
    assert quantizer.vocab == math.prod(levels) and quantizer.latent_dim == len(levels)
    every = np.arange(quantizer.vocab)
    digits = digits_of(quantizer)
    codes = encode(quantizer, {}, jnp.asarray(latents_of(quantizer, digits)))
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, every)

    half = np.array(levels) // 2
    values = decode(quantizer, {}, codes)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, (digits - half) / half, atol=1e-7)
    assert values.min() == -1 and values.max() <= 1


def test_codes_survive_bfloat16_latents():
    # In bfloat16 a code of 1001 would be rounded to 1000.
    quantizer = FiniteScalarQuantizer((8, 8, 8, 5, 5, 5))
    latents = jnp.asarray(latents_of(quantizer, digits_of(quantizer)))
    rounded = latents.astype(jnp.bfloat16)
    codes = encode(quantizer, {}, rounded)
    np.testing.assert_array_equal(codes, np.arange(quantizer.vocab))
    quantized = quantize(quantizer, {}, None, rounded)
    np.testing.assert_array_equal(quantized.codes, codes)
    assert codes[1001] == 1001 and quantized.values.dtype == np.float32


@pytest.mark.parametrize("levels", [(8, 4, 4), (5, 3), (2, 1000)])
def test_no_latent_leaves_the_range(levels):
    quantizer = FiniteScalarQuantizer(levels)
    extremes = jnp.array([-1e9, -30.0, 30.0, 1e9])[:, None] * jnp.ones(len(levels))
    codes = encode(quantizer, {}, extremes)
    last = quantizer.vocab - 1
    np.testing.assert_array_equal(codes, [0, 0, last, last])
    values = quantize(quantizer, {}, None, extremes).values
    assert np.all(np.abs(values) <= 1)


def test_quantize_is_encode_and_decode_with_no_loss_of_its_own():
    quantizer = FiniteScalarQuantizer((8, 5, 3))
    latents = np.random.default_rng(0).normal(0, 2, (4, 3, 2, 3))
    quantized = quantize(quantizer, {}, None, latents)
    codes = encode(quantizer, {}, latents)
    assert codes.shape == (4, 3, 2) and quantizer.init(None, latents) == {}
    np.testing.assert_array_equal(quantized.codes, codes)
    np.testing.assert_allclose(
        quantized.values, decode(quantizer, {}, codes), atol=1e-6
    )
    np.testing.assert_array_equal(quantized.loss, np.zeros(4))


def test_gradient_passes_straight_through_the_rounding():
    levels = (8, 5)
    quantizer = FiniteScalarQuantizer(levels)
    z = np.array([[[0.3, -0.7], [1.1, 0.05]]], np.float32)
    weight = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)

    def weighed(latents):
        return jnp.sum(weight * quantize(quantizer, {}, None, latents).values)

    # d/dz tanh(z + shift) * reach / half: that of the bounded value, unrounded.
    reach = np.array([7, 4]) * 1.001 / 2
    shift = np.arctanh(np.array([0.5, 0.0]) / reach)
    expected = weight * (1 - np.tanh(z + shift) ** 2) * reach / [4, 2]
    np.testing.assert_allclose(jax.jit(jax.grad(weighed))(z), expected, rtol=1e-5)


@pytest.mark.parametrize("levels", [(), (1, 4), (8, 1001)])
def test_refuses(levels):
    with pytest.raises(ValueError) as error:
        FiniteScalarQuantizer(levels)
    assert str(error.value) == f"levels must be from 2 to 1000 each, not {levels}"
