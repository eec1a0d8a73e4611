"""Lookup-free quantization: round trips, and entropies against their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.abstractions.bottlenecks.lfq import LookupFreeQuantizer
from regen_jax.loss_output import LossOutput
from tests.errors import value_error
from tests.training.descent_step import descend, on_one_and_eight_devices

RNG = np.random.default_rng(0)
LATENTS = RNG.normal(0.2, 0.6, (16, 3, 4)).astype(np.float32)
MASK = np.arange(3) < RNG.integers(0, 4, 16)[:, None]
LFQ = LookupFreeQuantizer(4, 0.0, 1.0, diversity=0.7, temperature=1.5)

apply = jax.jit(LookupFreeQuantizer.apply, static_argnums=0)


def codes_of(bits: int) -> np.ndarray:
    """All codes in {-1, 1}^bits, the first channel's sign changing fastest."""
    grids = np.meshgrid(*[[-1, 1]] * bits, indexing="ij")
    return np.stack([grid.ravel(order="F") for grid in grids], axis=-1)


def probabilities(latents: np.ndarray, temperature: float) -> np.ndarray:
    """p(c | z) of each code of latents [..., bits], by distances to all codes."""
    distances = np.square(latents[..., None, :] - codes_of(latents.shape[-1])).sum(-1)
    weights = np.exp(-distances.astype(np.float64) / temperature)
    return weights / weights.sum(axis=-1, keepdims=True)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(axis=-1)


def masked_means(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.ma.array(x, mask=~mask).mean(axis=1).filled(0)


def entropy_losses(latents: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The loss of each example of a global batch, by enumeration of the codes."""
    p = probabilities(latents, LFQ.temperature)
    of_mean = entropy(p[mask].mean(axis=0))
    return masked_means(entropy(p), mask) - LFQ.diversity * of_mean


@pytest.mark.parametrize("bits", [1, 4, 11])
def test_codes_to_indices_to_codes_are_the_same(bits):
    quantizer = LookupFreeQuantizer(bits)
    assert quantizer.vocab == 2**bits and quantizer.latent_dim == bits
    every = np.arange(2**bits)
    values = quantizer.decode({}, every)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, codes_of(bits))
    codes = quantizer.encode({}, 0.1 * values)
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes, every)
    space = quantizer.output_space((2**bits,), padded=True)
    mask = every[None] < 2**bits - 1
    packed = quantizer.pack(space, codes[None], mask)
    unpacked, same_mask = quantizer.unpack(space, (2**bits,), packed)
    np.testing.assert_array_equal(same_mask, mask)
    np.testing.assert_array_equal(unpacked[mask], every[mask[0]])


def test_values_are_signs_with_the_gradient_of_latents():
    weight = RNG.normal(size=LATENTS.shape).astype(np.float32)

    def weighed(latents):
        return jnp.sum(weight * LFQ.apply({}, None, latents, None, False).values)

    output = apply(LFQ, {}, None, LATENTS, MASK, False)
    signs = np.where(LATENTS > 0, 1.0, -1.0)
    np.testing.assert_allclose(output.values[MASK], signs[MASK], atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.grad(weighed))(LATENTS), weight)
    counts = np.bincount(np.asarray(output.codes)[MASK], minlength=16)
    np.testing.assert_array_equal(output.sums["code_counts"], counts)


def test_loss_is_commitment_and_entropy_over_valid_latents():
    dirty = np.where(MASK[..., None], LATENTS, np.nan)
    expected = entropy_losses(LATENTS, MASK)
    np.testing.assert_allclose(
        apply(LFQ, {}, None, dirty, MASK, False).loss, expected, rtol=1e-4, atol=1e-5
    )
    committed = LookupFreeQuantizer(4, 0.25, 0.0)
    squares = np.square(LATENTS - np.where(LATENTS > 0, 1, -1)).mean(axis=-1)
    loss = apply(committed, {}, None, dirty, MASK, False).loss
    np.testing.assert_allclose(loss, 0.25 * masked_means(squares, MASK), rtol=1e-5)


@pytest.mark.parametrize("group_bits", [1, 3])
def test_entropy_of_the_mean_is_the_sum_over_groups(group_bits):
    quantizer = LookupFreeQuantizer(4, temperature=1.5, group_bits=group_bits)
    groups = np.split(LATENTS, range(group_bits, 4, group_bits), axis=-1)
    expected = sum(
        entropy(probabilities(group, 1.5).mean(axis=(0, 1))) for group in groups
    )
    metrics = apply(quantizer, {}, None, LATENTS, None, False).metrics
    np.testing.assert_allclose(metrics["mean_code_entropy"], expected, rtol=1e-5)
    whole = entropy(probabilities(LATENTS, 1.5)).mean(axis=1)
    np.testing.assert_allclose(metrics["code_entropy"], whole, rtol=1e-4)


def test_gradients_of_extreme_latents_are_finite():
    latents = np.array([-1e9, -30, 0, 30, 1e9], np.float32)[:, None, None]
    latents = latents * np.ones((1, 1, 4), np.float32)

    def loss(latents):
        return LFQ.apply({}, None, latents, None, False).loss.sum()

    assert np.isfinite(jax.jit(jax.grad(loss))(latents)).all()


@on_one_and_eight_devices
def test_entropy_and_gradient_are_those_of_the_global_batch(parallel):
    shift = np.zeros(4, np.float32)

    def loss(variables, frozen, keys, batch, train):
        z = batch["z"] + variables["params"]["kernel"]
        output = LFQ.apply({}, keys, z, batch["mask"], train)
        return LossOutput(output.loss)

    def mean_loss(shift: np.ndarray) -> float:
        return entropy_losses(LATENTS + shift, MASK).mean()

    batch = {"z": LATENTS, "mask": MASK}
    descended, metrics = descend(parallel, loss, shift, batch)
    assert metrics["loss"] == pytest.approx(mean_loss(shift), rel=1e-5)
    gradient = [
        (mean_loss(shift + 1e-4 * unit) - mean_loss(shift - 1e-4 * unit)) / 2e-4
        for unit in np.eye(4)
    ]
    np.testing.assert_allclose(descended, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "bits must be in [1, 20], not 0"),
        ({"bits": 21}, "bits must be in [1, 20], not 21"),
        ({"group_bits": 13}, "group_bits must be in [1, 12], not 13"),
        ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(LookupFreeQuantizer, **options) == message
