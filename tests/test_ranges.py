import dataclasses
import math
import re
from typing import Annotated, Literal

import numpy as np
import pytest
from absl import flags
from annotated_types import Ge, Gt, Interval, Le, Lt

from regen_jax import ranges
from regen_jax.cli import commands
from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    free: float = 0.0
    whole: int = 0
    above: Annotated[float, Gt(0)] = 1.0
    most: Annotated[int, Le(8)] = 1
    below: Annotated[float, Lt(2)] = 1.0
    rate: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    sizes: tuple[Annotated[int, Ge(1)], ...] = (1,)
    some: ranges.Counts = (1,)
    pair: tuple[str, Annotated[float, Interval(gt=0, le=1)]] = ("", 1.0)
    mode: Literal["fast", "slow", "exact"] = "fast"
    only: Literal["one"] = "one"
    modes: tuple[Literal["fast", "slow"], ...] = ()
    limit: Annotated[int, Ge(1)] | None = None

    def __post_init__(self):
        ranges.check(self)


REFUSED = [
    ("free", math.nan, "must be finite, at most 3.4e+38 in size, not nan"),
    ("free", -math.inf, "must be finite, at most 3.4e+38 in size, not -inf"),
    ("free", 1e39, "must be finite, at most 3.4e+38 in size, not 1e+39"),
    ("free", -1e-40, "must be 0 or at least 1.18e-38 in size, not -1e-40"),
    ("whole", 2**31, "must be at most 2147483647 in size, not 2147483648"),
    ("whole", -(10**400), "must be at most 2147483647 in size"),
    ("above", 0.0, "must be above 0, not 0.0"),
    ("above", math.nan, "must be finite"),
    ("most", 9, "must be at most 8, not 9"),
    ("below", 2.0, "must be below 2, not 2.0"),
    ("rate", 1.0, "must be in [0, 1), not 1.0"),
    ("rate", -0.1, "must be in [0, 1), not -0.1"),
    ("sizes", (2, 0), "[1] must be at least 1, not 0"),
    ("pair", ("a", 0.0), "[1] must be in (0, 1], not 0.0"),
    ("mode", "best", "must be 'fast', 'slow' or 'exact', not 'best'"),
    ("only", "two", "must be 'one', not 'two'"),
    ("modes", ("slow", "exact"), "[1] must be 'fast' or 'slow', not 'exact'"),
]


@pytest.mark.parametrize("name, value, words", REFUSED)
def test_value_out_of_range_raises_an_error_with_field_and_range(name, value, words):
    words = f"{name}{'' if words.startswith('[') else ' '}{words}"
    with pytest.raises(UserError, match=re.escape(f"config.part.{words}")):
        instantiate(Options, {name: value}, "config.part")
    with pytest.raises(ValueError, match=re.escape(words)):
        Options(**{name: value})


def test_values_at_the_ends_of_their_ranges_are_valid():
    section = {
        "free": -float(np.finfo(np.float32).max),
        "whole": -(2**31) + 1,
        "above": float(np.finfo(np.float32).tiny),
        "most": 8,
        "rate": 0,
        "sizes": [1, 2**31 - 1],
        "pair": ["a", 1],
        "mode": "exact",
        "modes": ["slow"],
    }
    options = instantiate(Options, section, "config.part")
    assert options.above > 0 and options.pair == ("a", 1.0)
    assert isinstance(options.rate, float)
    assert options.mode == "exact" and options.modes == ("slow",)


def test_tuple_of_a_number_or_more_raises_an_error_without_one():
    message = "some must be one number or more, not none"
    with pytest.raises(ValueError, match=message):
        Options(some=())
    with pytest.raises(UserError, match=f"config.part: {message}"):
        instantiate(Options, {"some": []}, "config.part")
    with pytest.raises(UserError, match=re.escape("config.part.some[1] must be at")):
        instantiate(Options, {"some": [1, 0]}, "config.part")
    assert instantiate(Options, {"some": [2, 1]}, "config.part").some == (2, 1)
    assert ranges.describe(ranges.Counts) == "at least 1"
    assert ranges.bare(ranges.Counts) == tuple[int, ...]


def test_optional_value_may_be_none():
    assert instantiate(Options, {"limit": None}, "config.part").limit is None
    assert instantiate(Options, {"limit": 3}, "config.part").limit == 3
    with pytest.raises(UserError, match="limit must be at least 1, not 0"):
        instantiate(Options, {"limit": 0}, "config.part")
    with pytest.raises(UserError, match="limit must be of type int, not 'x'"):
        instantiate(Options, {"limit": "x"}, "config.part")


def test_int_too_large_for_a_float_field_raises_user_error():
    with pytest.raises(UserError, match="config.part.free must be finite, at most 3.4"):
        instantiate(Options, {"free": 10**400}, "config.part")


def test_type_in_error_has_no_range():
    with pytest.raises(UserError, match=re.escape("of type tuple[int, ...], not 3")):
        instantiate(Options, {"sizes": 3}, "config.part")
    with pytest.raises(UserError, match="rate must be of type float, not 'x'"):
        instantiate(Options, {"rate": "x"}, "config.part")
    with pytest.raises(
        UserError, match="mode must be 'fast', 'slow' or 'exact', not 3"
    ):
        instantiate(Options, {"mode": 3}, "config.part")


def test_constraint_that_is_no_range_raises_type_error():
    with pytest.raises(TypeError, match="is not a range of numbers"):
        ranges.fault(Annotated[int, "more"], 3)


def test_checked_base_leaves_other_bases_and_fields_of_no_argument():
    class Mixin:
        def __post_init__(self):
            object.__setattr__(self, "derived", self.size + 1)

    @dataclasses.dataclass(frozen=True)
    class Part(ranges.Checked, Mixin):
        size: ranges.Count = 1
        derived: int = dataclasses.field(init=False)

    assert Part(3).derived == 4
    with pytest.raises(ValueError, match="size must be at least 1, not 0"):
        Part(0)


def test_number_flag_is_in_the_help_of_the_module_that_defines_it():
    commands.define_number("test_ranges_number", 1, ranges.Count, "a number")
    own = {flag.name for flag in flags.FLAGS.get_key_flags_for_module(__name__)}
    delattr(flags.FLAGS, "test_ranges_number")
    assert own == {"test_ranges_number"}
