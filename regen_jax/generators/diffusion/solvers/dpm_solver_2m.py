"""DPM-Solver++ of two steps."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import (
    Denoiser,
    Interval,
    Scales,
    Solver,
    SolverState,
)
from regen_jax.generators.diffusion.solvers.ddim import DDIM


@dataclasses.dataclass(frozen=True)
class DPMSolver2M(Solver):
    """DPM-Solver++(2M): extrapolates the data of two steps; order 2, one call per step.

    Lu et al., arXiv 2211.01095, algorithm 2. Its memory is the last step's estimate of the
    data and its length in lambda = log(alpha / sigma).
    """

    def init(self, x: jax.Array) -> Any:
        # After an infinite step nothing is extrapolated: the first step is of order 1.
        return jnp.zeros_like(x), jnp.array(jnp.inf)

    def step(
        self, denoiser: Denoiser, state: SolverState, interval: Interval
    ) -> SolverState:
        data = denoiser.estimate(state.x, interval[0]).data
        last_data, last_length = state.memory
        start, end = map(denoiser.process.scales, interval)
        length = _log_ratio(end) - _log_ratio(start)
        # Flow matching starts at lambda = -inf, with a step that is infinite itself.
        known = jnp.isfinite(length) & jnp.isfinite(last_length)
        weight = jnp.where(known, length / (2 * last_length), 0)
        extrapolated = data + weight * (data - last_data)
        ratio = end.sigma / start.sigma
        x = ratio * state.x + (end.alpha - start.alpha * ratio) * extrapolated
        return state._replace(x=x, memory=(data, length))

    @property
    def last(self) -> Solver:
        """DDIM, the method of order 1: the last step is infinite in lambda."""
        return DDIM()


def _log_ratio(scales: Scales) -> jax.Array:
    """Returns lambda."""
    return jnp.log(scales.alpha) - jnp.log(scales.sigma)
