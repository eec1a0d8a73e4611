"""DDIM, from a deterministic sampler to an ancestral one."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.generators.diffusion.interfaces import (
    Denoiser,
    Interval,
    Solver,
    SolverState,
)
from regen_jax.random import fold_keys
from regen_jax.ranges import Fraction


@dataclasses.dataclass(frozen=True)
class DDIM(Solver):
    """Composes the end of a step of its estimate: order 1, one call per step.

    Song, Meng and Ermon, arXiv 2010.02502, equations 12 and 16, of any alpha and sigma.

    Attributes:
      eta: noise that a step replaces, as a fraction of what DDPM's ancestral sampler
        replaces; 0 solves the ODE.
    """

    eta: Fraction = 0.0

    def step(
        self, denoiser: Denoiser, state: SolverState, interval: Interval
    ) -> SolverState:
        data, noise = denoiser.estimate(state.x, interval[0])
        start, end = map(denoiser.process.scales, interval)
        if not self.eta:
            return state._replace(x=end.alpha * data + end.sigma * noise)
        # Noise levels at the end over those at the start.
        ratio = end.sigma * start.alpha / (end.alpha * start.sigma)
        new = self.eta * end.sigma * jnp.sqrt(1 - jnp.square(ratio))
        # The root of sigma² - new² in a form that rounding never makes negative.
        kept = (1 - self.eta**2) + jnp.square(self.eta * ratio)
        old = end.sigma * jnp.sqrt(kept)
        drawn = jax.vmap(lambda key: jax.random.normal(key, data.shape[1:]))(
            fold_keys(state.keys, 0)
        )
        x = end.alpha * data + old * noise + new * drawn
        return state._replace(x=x, keys=fold_keys(state.keys, 1))
