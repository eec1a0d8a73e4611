"""Heun's method."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import (
    Denoiser,
    Interval,
    Solver,
    SolverState,
)
from regen_jax.generators.diffusion.solvers.euler import Euler, follow


@dataclasses.dataclass(frozen=True)
class Heun(Solver):
    """Follows the mean estimate of both ends of a step: order 2, two calls per step.

    It is the explicit trapezoidal rule.
    """

    def step(
        self, denoiser: Denoiser, state: SolverState, interval: Interval
    ) -> SolverState:
        process, (start, end) = denoiser.process, interval
        at_start = denoiser.estimate(state.x, start)
        at_end = denoiser.estimate(follow(at_start, process, state.x, interval), end)
        mean = jax.tree.map(lambda s, e: (s + e) / 2, at_start, at_end)
        return state._replace(x=follow(mean, process, state.x, interval))

    @property
    def last(self) -> Solver:
        """Euler's method.

        Data on a manifold make the noise that x_t shows singular at t = 1, where Heun
        would evaluate it; one Euler step there leaves the order of the whole at 2 (Karras
        et al., arXiv 2206.00364, algorithm 1).
        """
        return Euler()
