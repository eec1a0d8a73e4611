"""How much information a space can hold."""

import math

from regen_jax.spaces import Array, Category, Record, Space, Tokens


def num_bits(space: Space) -> float | None:
    """Returns log2 of the number of values of a space.

    It is None where that has no finite or fixed number: of continuous values, and of padded
    ones, whose lengths differ.
    """
    match space:
        case Category():
            return math.log2(space.size)
        case Tokens(padded=False):
            return math.prod(space.shape) * math.log2(space.vocab)
        case Array(padded=False) if space.levels:
            return space.size * math.log2(space.levels)
        case Record():
            total = 0.0
            for _, field in space.fields:
                if (bits := num_bits(field)) is None:
                    return None
                total += bits
            return total
    return None
