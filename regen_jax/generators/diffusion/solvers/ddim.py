"""DDIM, from a deterministic sampler to an ancestral one."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax import ranges
from regen_jax.generators.diffusion.interfaces import (
    Denoise,
    Process,
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

    def __post_init__(self):
        ranges.check(self)

    def step(
        self,
        denoise: Denoise,
        process: Process,
        state: SolverState,
        start: jax.Array,
        end: jax.Array,
    ) -> SolverState:
        data, noise = denoise(state.x, start)
        alpha, sigma = process.alpha(end), process.sigma(end)
        if not self.eta:
            return state._replace(x=alpha * data + sigma * noise)
        # Noise levels at the end over those at the start, squared.
        ratio = sigma * process.alpha(start) / (alpha * process.sigma(start))
        new = self.eta * sigma * jnp.sqrt(1 - jnp.square(ratio))
        old = jnp.sqrt(jnp.square(sigma) - jnp.square(new))
        drawn = jax.vmap(lambda key: jax.random.normal(key, data.shape[1:]))(
            fold_keys(state.keys, 0)
        )
        x = alpha * data + old * noise + new * drawn
        return state._replace(x=x, keys=fold_keys(state.keys, 1))
