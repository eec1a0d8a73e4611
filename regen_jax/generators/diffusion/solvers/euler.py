"""Euler's method."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Components,
    Denoiser,
    Interval,
    Process,
    Solver,
    SolverState,
)


def follow(
    estimate: Components, process: Process, x: jax.Array, interval: Interval
) -> jax.Array:
    """Moves x [B, *shape] over an interval along a constant estimate of its components."""
    start, end = map(process.scales, interval)
    alpha, sigma = end.alpha - start.alpha, end.sigma - start.sigma
    return x + alpha * estimate.data + sigma * estimate.noise


@dataclasses.dataclass(frozen=True)
class Euler(Solver):
    """Follows the estimate at the start of a step: order 1, one call per step.

    Along flow matching it is a constant velocity data - noise. It equals `ddim` without
    noise for every process.
    """

    def step(
        self, denoiser: Denoiser, state: SolverState, interval: Interval
    ) -> SolverState:
        estimate = denoiser.estimate(state.x, interval[0])
        x = follow(estimate, denoiser.process, state.x, interval)
        return state._replace(x=x)
