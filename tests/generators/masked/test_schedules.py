"""How many tokens each schedule masks."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.masked.schedules.arccosine import Arccosine
from regen_jax.generators.masked.schedules.cosine import Cosine
from regen_jax.generators.masked.schedules.power import Power

SCHEDULES = {
    "cosine": (Cosine(), lambda x: math.cos(math.pi / 2 * x)),
    "arccosine": (Arccosine(), lambda x: 2 / math.pi * math.acos(x)),
    "linear": (Power(), lambda x: 1 - x),
    "square": (Power(2.0), lambda x: 1 - x * x),
    "root": (Power(0.5), lambda x: 1 - math.sqrt(x)),
}


@pytest.mark.parametrize("schedule, fraction", SCHEDULES.values(), ids=SCHEDULES)
def test_masked_fraction_falls_from_one_to_zero(schedule, fraction):
    progress = np.linspace(0, 1, 11)
    masked = schedule.masked_fraction(jnp.asarray(progress, jnp.float32))
    expected = [fraction(x) for x in progress]
    np.testing.assert_allclose(masked, expected, rtol=1e-5, atol=1e-6)
    assert expected[0] == 1 and abs(expected[-1]) < 1e-9
    assert np.all(np.diff(masked) < 0)


@pytest.mark.parametrize("schedule", [s for s, _ in SCHEDULES.values()], ids=SCHEDULES)
@pytest.mark.parametrize("number, num_calls", [(49, 12), (12, 12), (784, 7), (5, 1)])
def test_every_call_reveals_and_the_last_reveals_the_rest(schedule, number, num_calls):
    masked = schedule.num_masked(number, num_calls)
    revealed = -np.diff([number, *masked])
    assert revealed.shape == (num_calls,) and revealed.min() >= 1
    assert revealed.sum() == number and masked[-1] == 0


def test_revealed_tokens_are_those_of_the_cosine():
    # Round 49 cos(π/2 · t/12), but for 48.6 at first: every call reveals a token.
    expected = [48, 47, 45, 42, 39, 35, 30, 24, 19, 13, 6, 0]
    assert Cosine().num_masked(49, 12).tolist() == expected
    assert Power().num_masked(8, 4).tolist() == [6, 4, 2, 0]


def test_exponent_of_zero_raises_value_error():
    with pytest.raises(ValueError, match=r"exponent must be above 0, not 0\.0"):
        Power(0.0)
