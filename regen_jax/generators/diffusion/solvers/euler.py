"""Euler's method."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Solver, Velocity


@dataclasses.dataclass(frozen=True)
class Euler(Solver):
    """Follows the velocity at the start of a step: order 1, one call per step."""

    def step(
        self, velocity: Velocity, x: jax.Array, start: jax.Array, end: jax.Array
    ) -> jax.Array:
        return x + (end - start) * velocity(x, start)
