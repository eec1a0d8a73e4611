"""Solvers of the sampling ODE against its solution."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.diffusion.diffusion import integrate
from regen_jax.generators.diffusion.solvers.euler import Euler
from regen_jax.generators.diffusion.solvers.heun import Heun
from tests.generators.diffusion.gaussians import MEAN, SPREAD, gaussian_velocity

NOISE = jnp.linspace(-3, 3, 13)


@functools.partial(jax.jit, static_argnums=(0, 1))
def solve(solver, num_steps):
    times = jnp.linspace(0, 1, num_steps + 1)
    return integrate(gaussian_velocity, NOISE, times, solver)


@pytest.mark.parametrize("solver", [Euler(), Heun()])
def test_solution_carries_noise_to_the_gaussian(solver):
    np.testing.assert_allclose(solve(solver, 2000), MEAN + SPREAD * NOISE, atol=2e-3)


@pytest.mark.parametrize(("solver", "order"), [(Euler(), 1), (Heun(), 2)])
def test_error_shrinks_with_the_order_of_the_solver(solver, order):
    expected = MEAN + SPREAD * NOISE
    errors = [np.abs(solve(solver, steps) - expected).max() for steps in (32, 64)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_last_step_of_heun_never_evaluates_the_end():
    assert Heun().last == Euler().last == Euler()
