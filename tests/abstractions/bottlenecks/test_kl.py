"""Gaussian latents: the divergence by quadrature, samples, and moments of the means."""

import jax
import numpy as np
import pytest
import scipy

from regen_jax.abstractions.bottlenecks.kl import KL, kl_divergence
from regen_jax.spaces import Array
from tests.errors import value_error

BOTTLENECK = KL(2, weight=0.5)
START = BOTTLENECK.init(None, None)
RNG = np.random.default_rng(0)
# Means of two channels, then their log-variances.
LATENTS = RNG.normal([3, -1, -2, 1], [2, 0.1, 0.5, 0.5], (6, 5, 4)).astype(np.float32)


def integral(mean: float, log_variance: float) -> float:
    """∫ p log(p / q) for p = N(mean, exp(log_variance)) and q = N(0, 1)."""
    norm = scipy.stats.norm
    p = norm(mean, np.exp(log_variance / 2))

    def integrand(x: float) -> float:
        return p.pdf(x) * (p.logpdf(x) - norm.logpdf(x))

    return scipy.integrate.quad(integrand, *p.interval(1 - 1e-14))[0]


def test_divergence_equals_its_integral():
    mean = np.array([[0.0, 1.5], [-2.0, 0.3]])
    log_variance = np.array([[0.0, -3.0], [1.0, 0.2]])
    expected = [
        sum(integral(*pair) for pair in zip(*row, strict=True))
        for row in zip(mean, log_variance, strict=True)
    ]
    np.testing.assert_allclose(kl_divergence(mean, log_variance), expected, rtol=1e-5)


def test_loss_is_the_mean_divergence_of_valid_latents():
    mask = np.arange(5) < np.array([5, 3, 1, 0, 5, 2])[:, None]
    dirty = np.where(mask[..., None], LATENTS, np.nan)
    output = jax.jit(BOTTLENECK.apply, static_argnums=4)(
        START, None, dirty, mask, False
    )
    divergence = kl_divergence(LATENTS[..., :2], LATENTS[..., 2:])
    expected = np.ma.array(divergence, mask=~mask).mean(axis=1).filled(0)
    np.testing.assert_allclose(output.metrics["kl"], expected, rtol=1e-5)
    np.testing.assert_allclose(output.loss, 0.5 * expected, rtol=1e-5)
    bits = np.where(mask, divergence, 0).sum(axis=1) / np.log(2)
    np.testing.assert_allclose(output.metrics["bits"], bits, rtol=1e-5)


def test_training_draws_samples_and_evaluation_takes_the_mean():
    latents = np.tile(LATENTS[:1, :1], (4000, 1, 1))
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = jax.jit(BOTTLENECK.apply, static_argnums=4)(
        START, keys, latents, None, True
    )
    mean, log_variance = np.split(latents[0, 0], 2)
    assert drawn.values.shape == (4000, 1, BOTTLENECK.value_dim)
    deviation = np.exp(log_variance / 2)
    error = np.abs(np.mean(drawn.values, axis=(0, 1)) - mean)
    assert np.all(error < 4 * deviation / np.sqrt(4000))
    np.testing.assert_allclose(np.std(drawn.values, axis=(0, 1)), deviation, rtol=0.05)
    quiet = BOTTLENECK.apply(START, keys, latents, None, False)
    np.testing.assert_array_equal(quiet.values, latents[..., :2])
    np.testing.assert_array_equal(drawn.codes, quiet.codes)


def test_sample_depends_on_the_key_of_its_example_alone():
    keys = jax.random.split(jax.random.key(1), 6)
    apply = jax.jit(BOTTLENECK.apply, static_argnums=4)
    whole = apply(START, keys, LATENTS, None, True).values
    part = apply(START, keys[2:4], LATENTS[2:4], None, True).values
    np.testing.assert_array_equal(part, whole[2:4])


def test_latents_to_moments_to_latents_gives_the_means_back():
    assert BOTTLENECK.output_space((5,), padded=False) == Array((5, 2))
    assert BOTTLENECK.latent_dim == 4
    state = BOTTLENECK.finalize(START, [(LATENTS[:4], None), (LATENTS[4:], None)])
    codes = BOTTLENECK.encode(state, LATENTS)
    np.testing.assert_allclose(np.mean(codes, axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(codes, axis=(0, 1)), 1, rtol=1e-5)
    decoded = BOTTLENECK.decode(state, codes)
    np.testing.assert_allclose(decoded, LATENTS[..., :2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim must be at least 1, not 0"),
        ({"weight": -1.0}, "weight must be 0 or more, not -1.0"),
    ],
)
def test_option_out_of_range_raises_value_error(options, message):
    assert value_error(KL, **options) == message
