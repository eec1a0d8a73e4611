"""Solvers of the sampling ODE against its solution, of every process."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.diffusion.diffusion import integrate
from regen_jax.generators.diffusion.interfaces import Components, Denoiser, SolverState
from regen_jax.generators.diffusion.solvers.ddim import DDIM
from regen_jax.generators.diffusion.solvers.dpm_solver_2m import DPMSolver2M
from regen_jax.generators.diffusion.solvers.euler import Euler
from regen_jax.generators.diffusion.solvers.heun import Heun
from tests.generators.diffusion.gaussians import (
    FLOW,
    MEAN,
    PROCESSES,
    SPREAD,
    VP_V,
    at_start,
    best_denoiser,
    flow_end,
)

NOISE = jnp.linspace(-3, 3, 13)[:, None]

each_process = pytest.mark.parametrize(
    "process", [PROCESSES[name] for name in ("flow", "edm", "v", "epsilon")]
)
each_solver = pytest.mark.parametrize("solver", [Euler(), Heun(), DPMSolver2M()])


@functools.partial(jax.jit, static_argnums=(0, 1))
def step(solver, process, state, interval):
    return solver.step(best_denoiser(process), state, interval)


def advance(solver, process, x, times):
    """The state at the end of some times; one compilation for any number of them."""
    keys = jax.random.split(jax.random.key(0), len(x))
    state = SolverState(x, keys, solver.init(x))
    for interval in itertools.pairwise(np.asarray(times, np.float32)):
        state = step(solver, process, state, interval)
    return state


def solve(solver, process, num_steps, noise=NOISE):
    """Where noise ends at the data, by a last step of `solver.last`."""
    *times, end = np.asarray(process.times(num_steps), np.float32)
    state = advance(solver, process, at_start(process, noise), times)
    return step(solver.last, process, state, (times[-1], end)).x


@each_process
@each_solver
def test_solution_carries_noise_to_the_gaussian(solver, process):
    expected = flow_end(process, at_start(process, NOISE))
    few, many = (np.abs(solve(solver, process, n) - expected).max() for n in (50, 400))
    assert many < few / 6 and many < 0.012


@each_process
@each_solver
def test_error_shrinks_with_the_order_of_the_solver(solver, process):
    # Over a part of the path where no step is infinite and no scale singular.
    alpha, sigma = np.asarray(process.scales(jnp.array([0.2, 0.8])), np.float64)
    deviation = np.sqrt(alpha**2 * SPREAD**2 + sigma**2)
    x, expected = (alpha[i] * MEAN + deviation[i] * NOISE for i in (0, 1))
    errors = [
        np.abs(advance(solver, process, x, np.linspace(0.2, 0.8, n + 1)).x - expected)
        for n in (64, 128)
    ]
    order = 1 if solver == Euler() else 2
    measured = np.log2(errors[0].max() / errors[1].max())
    assert measured == pytest.approx(order, abs=0.15)


@each_process
def test_ddim_without_noise_equals_euler(process):
    np.testing.assert_allclose(
        solve(DDIM(), process, 7), solve(Euler(), process, 7), atol=2e-4
    )


def test_euler_on_a_flow_follows_its_velocity():
    x, times = NOISE, np.linspace(0, 1, 8)
    for start, end in itertools.pairwise(times):
        variance = (1 - start) ** 2 + (start * SPREAD) ** 2
        gain = (start * SPREAD**2 - (1 - start)) / variance
        x = x + (end - start) * (MEAN + gain * (x - start * MEAN))
    np.testing.assert_allclose(solve(Euler(), FLOW, 7), x, atol=1e-5)


@pytest.mark.parametrize("solver", [Euler(), Heun(), DPMSolver2M(), DDIM(eta=1.0)])
def test_point_mass_is_reached_exactly(solver):
    def estimate(x, time):
        alpha, sigma = VP_V.scales(time)
        return Components(jnp.full_like(x, MEAN), (x - alpha * MEAN) / sigma)

    denoiser = Denoiser(VP_V, estimate)

    @jax.jit
    def end(x):
        times, keys = VP_V.times(4), jax.random.split(jax.random.key(0), len(x))
        state = SolverState(x, keys, solver.init(x))
        state = integrate(denoiser, solver, state, times[:-1])
        return integrate(denoiser, solver.last, state, times[-2:]).x

    np.testing.assert_allclose(end(NOISE), MEAN, atol=1e-5)


@pytest.mark.parametrize(("name", "eta"), [("edm", 1.0), ("v", 0.5)])
def test_ancestral_sampler_has_the_moments_of_the_data(name, eta):
    noise = jax.random.normal(jax.random.key(1), (400, 20))
    solver, process = DDIM(eta=eta), PROCESSES[name]
    few, many = (np.asarray(solve(solver, process, n, noise)) for n in (50, 400))
    assert many.mean() == pytest.approx(MEAN, abs=0.01)
    assert many.std() == pytest.approx(SPREAD, rel=0.03)
    assert abs(many.std() - SPREAD) < abs(few.std() - SPREAD)
    # Where a sample ends depends less on where it started.
    assert np.corrcoef(noise.reshape(-1), many.reshape(-1))[0, 1] < 0.9


def test_ddim_step_matches_equations_12_and_16():
    start, end, eta = jnp.float32(0.4), jnp.float32(0.6), 0.7
    alpha_bar = [float(VP_V.scales(time).alpha) ** 2 for time in (start, end)]
    keys = jax.random.split(jax.random.key(0), len(NOISE))
    state = SolverState(NOISE, keys, ())
    x = DDIM(eta).step(best_denoiser(VP_V), state, (start, end)).x
    drawn = np.stack(
        [jax.random.normal(jax.random.fold_in(key, 0), (1,)) for key in keys]
    )
    data, noise = best_denoiser(VP_V).estimate(NOISE, start)
    deviation = eta * np.sqrt(
        (1 - alpha_bar[1]) / (1 - alpha_bar[0]) * (1 - alpha_bar[0] / alpha_bar[1])
    )
    direction = np.sqrt(1 - alpha_bar[1] - deviation**2) * noise
    expected = np.sqrt(alpha_bar[1]) * data + direction + deviation * drawn
    np.testing.assert_allclose(x, expected, atol=1e-5)


def test_ddim_step_over_many_noise_levels_keeps_the_right_noise():
    process, keys = PROCESSES["edm"], jax.random.split(jax.random.key(0), 1)
    zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
    denoiser = Denoiser(process, lambda x, time: Components(zero, one))
    levels = np.geomspace(0.001, 0.1, 200)

    @jax.jit
    @jax.vmap
    def end(level):
        interval = process.time_at(80.0), process.time_at(level)
        return DDIM(eta=1.0).step(denoiser, SolverState(zero, keys, ()), interval).x

    drawn = jax.random.normal(jax.random.fold_in(keys[0], 0), (1,))
    expected = levels * (levels / 80 + drawn)
    # A difference of squares is less exact here, or negative where products are fused.
    np.testing.assert_allclose(end(levels)[:, 0, 0], expected, rtol=1e-4)


def test_dpm_solver_step_matches_algorithm_2():
    times = np.array([0.3, 0.45, 0.7], np.float32)
    alpha, sigma = np.asarray(VP_V.scales(jnp.asarray(times)), np.float64)
    log_ratio = np.log(alpha / sigma)
    first, second = np.diff(log_ratio)
    estimate = best_denoiser(VP_V).estimate
    data = estimate(NOISE, times[0]).data
    x = sigma[1] / sigma[0] * NOISE - alpha[1] * np.expm1(-first) * data
    r = first / second
    next_data = estimate(x, times[1]).data
    mixed = (1 + 1 / (2 * r)) * next_data - data / (2 * r)
    x = sigma[2] / sigma[1] * x - alpha[2] * np.expm1(-second) * mixed
    actual = advance(DPMSolver2M(), VP_V, NOISE, times).x
    np.testing.assert_allclose(actual, x, atol=2e-5)


def test_last_step_never_evaluates_the_end():
    assert Heun().last == Euler().last == Euler()
    assert DPMSolver2M().last == DDIM()
