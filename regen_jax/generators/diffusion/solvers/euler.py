"""Euler's method."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Denoise,
    Estimate,
    Process,
    Solver,
    SolverState,
)


def follow(
    estimate: Estimate,
    process: Process,
    x: jax.Array,
    start: jax.Array,
    end: jax.Array,
) -> jax.Array:
    """Moves x [B, *shape] between two times along a constant estimate of data and noise."""
    alpha = process.alpha(end) - process.alpha(start)
    sigma = process.sigma(end) - process.sigma(start)
    return x + alpha * estimate.data + sigma * estimate.noise


@dataclasses.dataclass(frozen=True)
class Euler(Solver):
    """Follows the estimate at the start of a step: order 1, one call per step.

    Along flow matching it is a constant velocity data - noise. It equals `ddim` without
    noise for every process.
    """

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: SolverState,
        start: jax.Array,
        end: jax.Array,
    ) -> SolverState:
        estimate = denoise(state.x, start)
        return state._replace(x=follow(estimate, process, state.x, start, end))
