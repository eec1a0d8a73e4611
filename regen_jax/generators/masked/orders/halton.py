"""Positions in an order that spreads them evenly, whatever the model predicts."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.masked.interfaces import Order
from regen_jax.spaces import Tokens

_BASES = (2, 3, 5, 7, 11, 13)
"""Of the radical inverse along each axis: the first primes."""


@dataclasses.dataclass(frozen=True)
class Halton(Order):
    """Reveals positions as points of the Halton sequence visit them.

    Besnier et al., arXiv 2503.17076. Tokens of one call are far apart, so that they depend
    little on one another. The points lie in the grid of the space; for a sequence they are
    van der Corput's. Levels of a stack follow one another, the first level first.
    """

    def check(self, space: Tokens) -> None:
        if len(space.grid) > len(_BASES):
            raise ValueError(
                f"order 'halton' needs a grid of at most {len(_BASES)} axes, not "
                f"{space.grid}: use order 'confidence'"
            )

    def scores(
        self, space: Tokens, keys: jax.Array, log_probs: jax.Array, progress: jax.Array
    ) -> jax.Array:
        ranks = np.argsort(halton_order(space.grid or (space.length,)))
        if space.depth > 1:
            ranks = ranks[:, None] + space.length * np.arange(space.depth)
        return jnp.broadcast_to(jnp.asarray(-ranks, jnp.float32), log_probs.shape)


@functools.cache
def halton_order(grid: tuple[int, ...]) -> np.ndarray:
    """Returns the cells of a grid, numbered row by row, in order of their first visit.

    The coordinates of point i = 1, 2, … are the radical inverses of i in the first prime
    bases (Halton, Numerische Mathematik 2, 1960). It visits the cell that it is in.
    """
    number = math.prod(grid)
    num_points = number
    while True:
        num_points *= 2
        axes = [
            (radical_inverses(num_points, base) * size).astype(int)
            for base, size in zip(_BASES, grid, strict=False)
        ]
        cells, first = np.unique(np.ravel_multi_index(axes, grid), return_index=True)
        if len(cells) == number:
            return cells[np.argsort(first)]


def radical_inverses(number: int, base: int) -> np.ndarray:
    """Returns the digits of 1 … `number` mirrored at the point, f64[number] in (0, 1)."""
    index, scale = np.arange(1, number + 1), 1.0
    result = np.zeros(number)
    while index.any():
        scale /= base
        result += scale * (index % base)
        index //= base
    return result
