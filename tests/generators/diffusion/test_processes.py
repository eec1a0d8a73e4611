"""Processes: their scales, losses and conversions against NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.diffusion.interfaces import Components
from regen_jax.generators.diffusion.noise_schedules.cosine import Cosine
from regen_jax.generators.diffusion.noise_schedules.linear import Linear
from regen_jax.generators.diffusion.predictions.epsilon import Epsilon
from regen_jax.generators.diffusion.predictions.v import V
from regen_jax.generators.diffusion.predictions.velocity import Velocity
from regen_jax.generators.diffusion.predictions.x import X
from regen_jax.generators.diffusion.processes.ddpm import DDPM
from regen_jax.generators.diffusion.processes.edm import EDM
from regen_jax.generators.diffusion.processes.flow_matching import FlowMatching
from tests.generators.diffusion.gaussians import PROCESSES, BestNetwork, best_estimate

TIMES = jnp.linspace(0.01, 0.78, 9)
RNG = np.random.default_rng(0)
DATA, NOISE, PREDICTION = RNG.normal(size=(3, 9, 2)).astype(np.float32)
TRUTH = Components(DATA, NOISE)

each_process = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)


def scales(process):
    """Alpha and sigma at TIMES, f64[9, 1]."""
    return [np.asarray(v, np.float64)[:, None] for v in process.scales(TIMES)]


@each_process
def test_corrupt_adds_scaled_noise_to_scaled_data(process):
    alpha, sigma = scales(process)
    x = process.corrupt(TRUTH, TIMES)
    np.testing.assert_allclose(x, alpha * DATA + sigma * NOISE, rtol=1e-4, atol=1e-6)


@each_process
def test_time_at_inverts_the_noise_level(process):
    level = np.divide(*reversed(process.scales(TIMES)))
    np.testing.assert_allclose(process.time_at(level), TIMES, atol=2e-5)
    assert (np.diff(level) < 0).all()


@each_process
def test_process_ends_at_the_data(process):
    assert process.scales(jnp.ones(())) == (1, 0)


@pytest.mark.parametrize("schedule", [Cosine(), Linear()])
def test_schedule_preserves_variance_and_ends_at_one_noise_level(schedule):
    alpha, sigma = schedule.scales(jnp.linspace(0, 1, 7))
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-5)
    assert sigma[0] / alpha[0] == pytest.approx(152, rel=2e-3)


def test_linear_schedule_matches_the_product_of_ddpm():
    betas = np.linspace(1e-4, 0.02, 1000)
    alphas = np.sqrt(np.cumprod(1 - betas))
    times = 1 - np.arange(1, 1001) / 1000
    alpha, _ = Linear().scales(jnp.asarray(times, jnp.float32))
    np.testing.assert_allclose(alpha[::100], alphas[::100], rtol=0.03)


def test_edm_steps_have_the_sigmas_of_equation_5():
    number = 18
    i = np.arange(number)
    sigmas = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    times = jnp.asarray(EDM().times(number), jnp.float32)
    np.testing.assert_allclose(EDM().scales(times).sigma, [*sigmas, 0], rtol=1e-4)
    assert EDM().times(1).tolist() == [0, 1]


def test_edm_loss_is_the_weighted_square_of_its_denoiser():
    process = EDM(sigma_data=0.7)
    sigma = scales(process)[1]
    x, variance = DATA + sigma * NOISE, sigma**2 + 0.7**2
    skip, out = 0.7**2 / variance, sigma * 0.7 / np.sqrt(variance)
    denoised = skip * x + out * PREDICTION
    weight = variance / (sigma * 0.7) ** 2
    error = process.error(PREDICTION, TRUTH, TIMES)
    expected = weight * (denoised - DATA) ** 2
    np.testing.assert_allclose(np.square(error), expected, rtol=5e-3, atol=1e-5)

    inputs, c_noise = process.network_inputs(jnp.float32(x), TIMES)
    np.testing.assert_allclose(inputs, x / np.sqrt(variance), rtol=1e-4)
    np.testing.assert_allclose(c_noise, np.log(sigma[:, 0]) / 4, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (FlowMatching(), PREDICTION - (DATA - NOISE)),
        (DDPM(Epsilon()), PREDICTION - NOISE),
        (FlowMatching(X()), None),
        (DDPM(V()), None),
    ],
)
def test_error_is_of_what_the_network_predicts(process, expected):
    alpha, sigma = scales(process)
    if isinstance(process.prediction, X):
        # Both as velocities, by the divisor of JiT.
        x, divisor = alpha * DATA + sigma * NOISE, np.maximum(sigma, 0.05)
        expected = (PREDICTION - x) / divisor - (DATA - x) / divisor
    if isinstance(process.prediction, V):
        expected = PREDICTION - (alpha * NOISE - sigma * DATA)
    error = process.error(PREDICTION, TRUTH, TIMES)
    np.testing.assert_allclose(error, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("process", [FlowMatching, DDPM])
@pytest.mark.parametrize("prediction", [Velocity(), X(), Epsilon(), V()])
def test_estimate_of_an_exact_prediction_is_data_and_noise(process, prediction):
    if process is FlowMatching and prediction == Epsilon():
        return
    process = process(prediction)
    # What makes the error 0.
    exact = -process.error(jnp.zeros_like(DATA), TRUTH, TIMES)
    if prediction == X():
        exact = DATA
    x = process.corrupt(TRUTH, TIMES)
    estimate = process.estimate(exact, x, TIMES)
    np.testing.assert_allclose(estimate.data, DATA, atol=1e-3)
    np.testing.assert_allclose(estimate.noise, NOISE, atol=1e-3)


@each_process
def test_best_network_gives_the_best_estimate(process):
    alpha, sigma = scales(process)
    x = process.corrupt(TRUTH, TIMES)
    inputs = process.network_inputs(x, TIMES)
    prediction = BestNetwork(process).apply({}, None, None, *inputs)
    estimate = process.estimate(prediction, x, TIMES)
    expected = best_estimate(np.asarray(x, np.float64), alpha, sigma)
    np.testing.assert_allclose(estimate.data, expected.data, rtol=5e-3, atol=2e-3)
    np.testing.assert_allclose(estimate.noise, expected.noise, rtol=5e-3, atol=2e-3)


@each_process
def test_loss_and_estimate_are_finite_at_both_ends(process):
    ends = jnp.array([0.0, 1.0, 1 - 6e-8])
    truth = Components(DATA[:3], NOISE[:3])
    x = process.corrupt(truth, ends)
    inputs = process.network_inputs(x, ends)
    error = process.error(x, truth, ends)
    estimate = process.estimate(x, x, ends)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((inputs, error)))
    assert all(np.isfinite(leaf).all() for leaf in estimate)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlowMatching(Epsilon()), "Epsilon says nothing of the data at time 0"),
        (lambda: EDM(sigmas=(90.0, 80.0)), "sigmas must be two rising ones"),
        (lambda: EDM(sigma_data=0.0), "sigma_data must be above 0"),
        (lambda: Linear(beta_min=30.0), "beta_min 30.0 must be below beta_max 20.0"),
        (lambda: Cosine(max_noise_level=-1.0), "max_noise_level must be above 0"),
        (lambda: X(min_sigma=0.0), r"min_sigma must be in \(0, 1\]"),
    ],
)
def test_option_out_of_range_raises_value_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()
