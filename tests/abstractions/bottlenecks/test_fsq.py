import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.metrics import codebook
from tests.errors import value_error

encode = jax.jit(FiniteScalarQuantizer.encode, static_argnums=0)
decode = jax.jit(FiniteScalarQuantizer.decode, static_argnums=0)
apply = jax.jit(FiniteScalarQuantizer.apply, static_argnums=0)

LEVELS = [(8, 4, 4), (5, 3), (2, 7, 2), (4,), (1000,), (8, 8, 8, 5, 5, 5)]


def latents_of(quantizer: FiniteScalarQuantizer, digits: np.ndarray) -> np.ndarray:
    """Latents whose bounded value is the level of each digit: f(z) inverted."""
    levels = np.array(quantizer.levels)
    reach = (levels - 1) * 1.001 / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    shift = np.where(levels == 2, 0, np.arctanh(offset / reach))
    return np.arctanh((digits - levels // 2 + offset) / reach) - shift


def plain(levels: tuple[int, ...]) -> FiniteScalarQuantizer:
    """The quantizer of the paper, which bounds latents as they are."""
    return FiniteScalarQuantizer(levels, standardize=False)


def digits_of(quantizer: FiniteScalarQuantizer) -> np.ndarray:
    """Digits of all codes, the first channel's fastest."""
    grids = np.meshgrid(*(np.arange(n) for n in quantizer.levels), indexing="ij")
    return np.stack([grid.ravel(order="F") for grid in grids], axis=-1)


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_is_reached_and_decode_inverts_encode(levels):
    quantizer = plain(levels)
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


def test_codes_of_bfloat16_latents_are_exact():
    # In bfloat16 a code of 1001 would be rounded to 1000.
    quantizer = plain((8, 8, 8, 5, 5, 5))
    latents = jnp.asarray(latents_of(quantizer, digits_of(quantizer)))
    rounded = latents.astype(jnp.bfloat16)
    codes = encode(quantizer, {}, rounded)
    np.testing.assert_array_equal(codes, np.arange(quantizer.vocab))
    output = apply(quantizer, {}, None, rounded, None, False)
    np.testing.assert_array_equal(output.codes, codes)
    assert codes[1001] == 1001 and output.values.dtype == np.float32


@pytest.mark.parametrize("levels", [(8, 4, 4), (5, 3), (2, 1000)])
def test_values_of_extreme_latents_stay_in_range(levels):
    quantizer = plain(levels)
    extremes = jnp.array([-1e9, -30.0, 30.0, 1e9])[:, None] * jnp.ones(len(levels))
    codes = encode(quantizer, {}, extremes)
    last = quantizer.vocab - 1
    np.testing.assert_array_equal(codes, [0, 0, last, last])
    values = apply(quantizer, {}, None, extremes, None, False).values
    assert np.all(np.abs(values) <= 1)


@pytest.mark.parametrize("standardize", [True, False])
def test_apply_equals_encode_and_decode_without_loss(standardize):
    quantizer = FiniteScalarQuantizer((8, 5, 3), standardize)
    latents = np.random.default_rng(0).normal(1, 2, (4, 3, 2, 3)).astype(np.float32)
    output = apply(quantizer, {}, None, latents, None, False)
    codes = encode(quantizer, {}, latents)
    assert codes.shape == (4, 3, 2) and quantizer.init(None, latents) == {}
    np.testing.assert_array_equal(output.codes, codes)
    np.testing.assert_allclose(output.values, decode(quantizer, {}, codes), atol=1e-6)
    np.testing.assert_array_equal(output.loss, np.zeros(4))


def test_gradient_passes_straight_through_the_rounding():
    levels = (8, 5)
    quantizer = plain(levels)
    z = np.array([[[0.3, -0.7], [1.1, 0.05]]], np.float32)
    weight = np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32)

    def weighed(latents):
        return jnp.sum(weight * apply(quantizer, {}, None, latents, None, False).values)

    # d/dz tanh(z + shift) * reach / half: that of the bounded value, unrounded.
    reach = np.array([7, 4]) * 1.001 / 2
    shift = np.arctanh(np.array([0.5, 0.0]) / reach)
    expected = weight * (1 - np.tanh(z + shift) ** 2) * reach / [4, 2]
    np.testing.assert_allclose(jax.jit(jax.grad(weighed))(z), expected, rtol=1e-5)


def test_two_levels_split_latents_at_zero_with_a_usable_slope():
    quantizer = plain((2, 5))
    z = jnp.array([[[-0.1, 0.0], [0.1, 0.0]]])
    np.testing.assert_array_equal(encode(quantizer, {}, z), [[4, 5]])
    slope = jax.grad(
        lambda z: apply(quantizer, {}, None, z, None, False).values[..., 0].sum()
    )
    # d/dz tanh(z) * reach / half at 0, with a reach of half the step from -1 to 0.
    np.testing.assert_allclose(slope(0 * z)[..., 0], 0.5, rtol=2e-3)


RAGGED = np.random.default_rng(1).normal(3, 2, (5, 6, 2)).astype(np.float32)
MASK = np.arange(6) < np.array([6, 3, 2, 1, 0])[:, None]
STANDARDIZED = FiniteScalarQuantizer((999, 999))


def test_latents_are_standardized_over_valid_positions_of_their_example():
    found = apply(STANDARDIZED, {}, None, RAGGED, MASK, False)
    for values, z, mask in zip(found.values, RAGGED, MASK, strict=True):
        z = z[mask]
        centered = z - z.mean(axis=0) if len(z) > 1 else z
        deviation = np.sqrt((1 + np.square(centered).sum(axis=0)) / (1 + len(z)))
        # Of 999 levels, a step is 0.002.
        np.testing.assert_allclose(
            values[mask], np.tanh(centered / deviation), atol=2e-3
        )
    codes = encode(STANDARDIZED, {}, RAGGED, MASK)
    np.testing.assert_array_equal(codes, found.codes)
    alone = encode(STANDARDIZED, {}, RAGGED[1:2, :3])[0]
    np.testing.assert_array_equal(alone, codes[1, :3])


def test_single_position_and_constant_channel_are_not_amplified():
    single = np.array([-3.0, -0.3, 0.4, 5.0], np.float32)[:, None, None] * np.ones(2)
    values = apply(STANDARDIZED, {}, None, single, None, False).values[:, 0]
    assert np.all(np.diff(values, axis=0) > 0.1)
    nearly_constant = 7 + 1e-3 * np.arange(6, dtype=np.float32)[:, None] * np.ones(2)
    values = apply(STANDARDIZED, {}, None, nearly_constant[None], None, False).values
    assert np.abs(values).max() < 0.01


def test_codes_and_gradients_depend_on_their_example_alone():
    weight = np.random.default_rng(2).normal(size=RAGGED.shape).astype(np.float32)

    @jax.jit
    def gradient(latents, mask, weight):
        def weighed(latents):
            found = STANDARDIZED.apply({}, None, latents, mask, False)
            return jnp.sum(jnp.where(mask[..., None], weight * found.values, 0))

        return jax.grad(weighed)(latents)

    dirty = np.where(MASK[..., None], RAGGED, np.nan)
    whole = gradient(dirty, MASK, weight)
    assert np.all(np.isfinite(whole)) and np.all(whole[~MASK] == 0)
    # What all valid positions of an example have in common moves none of its values.
    np.testing.assert_allclose(whole[:3].sum(axis=1), 0, atol=1e-6)
    assert np.all(whole[3, 0] != 0)
    for i in range(len(RAGGED)):
        part = [x[i : i + 1] for x in (dirty, MASK, weight)]
        np.testing.assert_allclose(gradient(*part)[0], whole[i], rtol=1e-5, atol=1e-8)


def test_range_penalty_is_a_mean_over_valid_positions():
    quantizer = FiniteScalarQuantizer((8, 5), standardize=False, range_penalty=0.5)
    loss = apply(quantizer, {}, None, RAGGED, MASK, False).loss
    for value, z, mask in zip(loss, RAGGED, MASK, strict=True):
        excess = np.maximum(np.abs(z[mask]) - 2, 0)
        expected = 0.5 * np.square(excess).mean() if mask.any() else 0
        np.testing.assert_allclose(value, expected, rtol=1e-6)


def perplexity_after_training(quantizer: FiniteScalarQuantizer) -> float:
    """Perplexity of the codes of a linear autoencoder after 100 steps of Adam.

    Its vectors, 16 per example, have a large mean that the decoder can give through
    the latents alone, as the statistics of words and notes are to larger networks.
    """
    rng = np.random.default_rng(0)
    mean, mixture = rng.normal(0, 3, 16), rng.normal(0, 1, (3, 16))
    y = (mean + rng.normal(0, 1, (32, 16, 3)) @ mixture).astype(np.float32)
    shapes = {"encoder": (16, 3), "decoder": (3, 16)}
    params = {name: rng.normal(0, 0.1, shape) for name, shape in shapes.items()}
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    optimizer = optax.adam(1e-2)

    def output_of(params):
        return quantizer.apply({}, None, y @ params["encoder"], None, False)

    def loss(params):
        return jnp.square(output_of(params).values @ params["decoder"] - y).mean()

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def train(params):
        start = params, optimizer.init(params)
        (params, _), _ = jax.lax.scan(step, start, length=100)
        return output_of(params).sums["code_counts"]

    return codebook.perplexity(np.asarray(train(params)))


def test_standardized_codes_stay_in_use_where_plain_ones_collapse():
    assert perplexity_after_training(plain((8, 8, 8))) < 512 / 100
    assert perplexity_after_training(FiniteScalarQuantizer((8, 8, 8))) > 512 / 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": ()}, "levels must be one number or more, not none"),
        (
            {"levels": (1000,) * 4},
            "levels give 1000000000000 codes: use a product below 2**31 - 1, since codes "
            "are int32",
        ),
        ({"levels": (1, 4)}, "levels[0] must be in [2, 1000], not 1"),
        ({"levels": (8, 1001)}, "levels[1] must be in [2, 1000], not 1001"),
        ({"range_penalty": -1.0}, "range_penalty must be 0 or more, not -1.0"),
        ({"range_penalty": math.nan}, "range_penalty must be finite"),
        ({"range_penalty": math.inf}, "range_penalty must be finite"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(FiniteScalarQuantizer, **options).startswith(message)
