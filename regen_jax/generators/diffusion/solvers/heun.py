"""Heun's method."""

import dataclasses

import jax

from regen_jax.generators.diffusion.interfaces import Solver, Velocity
from regen_jax.generators.diffusion.solvers.euler import Euler


@dataclasses.dataclass(frozen=True)
class Heun(Solver):
    """Follows the mean velocity of both ends of a step: order 2, two calls per step.

    It is the explicit trapezoidal rule.
    """

    def step(
        self, velocity: Velocity, x: jax.Array, start: jax.Array, end: jax.Array
    ) -> jax.Array:
        at_start = velocity(x, start)
        at_end = velocity(x + (end - start) * at_start, end)
        return x + (end - start) * ((at_start + at_end) / 2)

    @property
    def last(self) -> Solver:
        """Euler's method.

        Data on a manifold make the velocity singular at t = 1, where Heun would evaluate
        it; one Euler step there leaves the order of the whole at 2 (Karras et al., arXiv
        2206.00364, algorithm 1).
        """
        return Euler()
