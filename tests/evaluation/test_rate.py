"""Bits that a value of a space takes."""

import math

import pytest

from regen_jax.evaluation.rate import num_bits
from regen_jax.spaces import Array, Category, Record, Tokens


@pytest.mark.parametrize(
    "space, bits",
    [
        (Category(8), 3),
        (Category(1), 0),
        (Tokens(49, 128), 343),
        (Tokens(49, 11, depth=2), 98 * math.log2(11)),
        (Array((2, 3), 0, 255, step=1.0), 48),
        (Tokens(49, 128, padded=True), None),
        (Array((2, 3), 0, 255), None),
        (Array((2, 3)), None),
        (Array((2, 3), 0, 255, padded=True, step=1.0), None),
        (Record((("a", Category(8)), ("b", Tokens(2, 4)))), 7),
        (Record((("a", Category(8)), ("b", Array((2,))))), None),
    ],
)
def test_bits_are_the_logarithm_of_the_number_of_values(space, bits):
    assert num_bits(space) == (bits if bits is None else pytest.approx(bits))
