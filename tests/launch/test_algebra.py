import itertools
import math
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launch.algebra import (
    Choice,
    Search,
    chain,
    choice,
    choose,
    integer,
    log_uniform,
    over,
    product,
    sample,
    uniform,
    zipped,
)
from launch.naming import LONGEST, names
from regen_jax.errors import UserError

FIELDS = ("seed", "prior.width", "prior.dtype", "decoder.width", ":abstraction")
VALUES = st.one_of(
    st.integers(-5, 5),
    st.floats(-1024, 1024, allow_subnormal=False, width=32),
    st.text("aBb1 /.~é", max_size=5),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)

quick = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@st.composite
def sweeps(draw, fields=FIELDS):
    """A product over some of these fields."""
    chosen = draw(st.lists(st.sampled_from(fields), unique=True, max_size=3))
    values = st.lists(VALUES, min_size=1, max_size=3, unique=True)
    return product(*(over(field, *draw(values)) for field in chosen))


def test_over_and_choose_are_a_run_for_each_value():
    assert over("prior.top_p", 0.5, 1.0) == [{"prior.top_p": 0.5}, {"prior.top_p": 1.0}]
    assert choose("abstraction", "vq") == [{":abstraction": "vq"}]
    assert over("abstraction.widths", [4, 8]) == [{"abstraction.widths": (4, 8)}]


@quick
@given(sweeps(FIELDS[:2]), sweeps(FIELDS[2:]))
def test_product_is_that_of_sets_in_lexicographic_order(first, second):
    expected = [a | b for a, b in itertools.product(first, second)]
    assert product(first, second) == expected
    assert len(expected) == len(first) * len(second)


@quick
@given(sweeps(FIELDS[:1]), sweeps(FIELDS[1:3]), sweeps(FIELDS[3:]))
def test_product_is_associative_with_a_neutral_element(a, b, c):
    assert product(a, product(b, c)) == product(product(a, b), c) == product(a, b, c)
    assert product(product(), a) == product(a, product()) == a


@quick
@given(sweeps(FIELDS[:2]), sweeps(FIELDS[2:]))
def test_zipped_joins_runs_of_the_same_place(first, second):
    number = min(len(first), len(second))
    found = zipped(first[:number], second[:number])
    assert found == [first[i] | second[i] for i in range(number)]


@quick
@given(sweeps(), st.data())
def test_chain_undoes_a_cut(sweep, data):
    cut = data.draw(st.integers(0, len(sweep)))
    assert chain(sweep[:cut], sweep[cut:]) == sweep


@quick
@given(sweeps(), st.integers(0, 2**31 - 1), st.data())
def test_sample_keeps_the_order_and_repeats_nothing(sweep, seed, data):
    number = data.draw(st.integers(1, len(sweep)))
    found = sample(sweep, number, seed)
    places = [sweep.index(run) for run in found]
    assert len(found) == number and places == sorted(set(places))
    assert found == sample(sweep, number, seed)


def test_sample_is_the_same_everywhere_and_uniform():
    ten = over("seed", *range(10))
    assert [run["seed"] for run in sample(ten, 4, seed=0)] == [2, 3, 5, 7]
    counts = [0] * 10
    for seed in range(2000):
        for run in sample(ten, 3, seed):
            counts[run["seed"]] += 1
    # 600 each, with a standard deviation of 20.
    assert all(abs(count - 600) < 100 for count in counts)


WRONG = {
    "no values": (lambda: over("seed"), "seed is given no values"),
    "twice": (lambda: over("seed", 1, 2, 1), "the same run twice: {'seed': 1}"),
    "no field": (lambda: over("prior top_p", 1), "'prior top_p' is no field"),
    "no number": (lambda: over("seed", None), "seed must be a number.* not None"),
    "nan": (lambda: over("prior.top_p", float("nan")), "top_p must be finite.* nan"),
    "huge": (lambda: over("prior.guidance", (1.0, 1e39)), "guidance must be finite"),
    "endless": (lambda: uniform("prior.dropout", 0, math.inf), "dropout must be finit"),
    "seed of a sample": (
        lambda: sample(over("seed", 0), 1, 2**31),
        "sample must be at mo",
    ),
    "section": (lambda: over("prior", {"width": 3}), "prior must be a number"),
    "set twice": (
        lambda: product(over("seed", 0), over("seed", 1)),
        "seed is set twice in one run",
    ),
    "zipped": (
        lambda: zipped(over("seed", 0, 1), over("prior.width", 1)),
        r"sweeps of \[2, 1\] runs: lengths differ",
    ),
    "chained twice": (
        lambda: chain(over("seed", 0, 1), over("seed", 1)),
        "the same run twice",
    ),
    "too many": (lambda: sample(over("seed", 0), 2, 0), "sample 2 of 1"),
    "no range": (lambda: uniform("prior.dropout", 0.3, 0.1), "low end below"),
    "log of zero": (lambda: log_uniform("prior.dropout", 0, 1), "above 0"),
    "no choice": (lambda: choice("prior.dropout"), "no values"),
    "no space": (lambda: Search([], "prior/nll"), "space must be a list"),
    "space twice": (
        lambda: Search([integer("seed", 0, 9), choice("seed", 1)], "prior/nll"),
        "seed twice",
    ),
    "trials": (
        lambda: Search([integer("seed", 0, 9)], "prior/nll", trials=0),
        "at least 1",
    ),
    "seed of a search": (
        lambda: Search([integer("seed", 0, 9)], "prior/nll", seed=2**32),
        "seed must be at most 2147483647",
    ),
    "no whole number": (
        lambda: Search([integer("seed", 0, 9)], "prior/nll", trials=1.5),
        "trials must be an int, not 1.5",
    ),
}


@pytest.mark.parametrize("make, words", WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_one_line(make, words):
    with pytest.raises(UserError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_names_say_what_changes_and_no_more():
    sweep = product(
        choose("abstraction", "fsq", "vq"), over("seed", 0, 1), over("prior.top_p", 0.9)
    )
    assert names(sweep)[1] == "abstraction=fsq,seed=1"
    assert names(over("prior.width", 16)) == ["width=16"]
    assert names([{}, {"seed": 1}]) == ["default", "seed=1"]


def test_names_take_the_shortest_end_that_is_unambiguous():
    sweep = product(
        over("train.prior.steps", 1, 2),
        over("train.decoder.steps", 1, 2),
        over("prior.width", 1, 2),
    )
    assert names(sweep)[0] == "prior.steps=1,decoder.steps=1,width=1"
    assert names(over("data.name", "a/b c", "(x)")) == ["name=a_b_c", "name=_x_"]
    assert names(over("abstraction.levels", (8, 5), (4,))) == ["levels=8x5", "levels=4"]


@quick
@given(sweeps())
def test_names_are_unique_and_safe_as_files(sweep):
    found = names(sweep)
    assert len({name.lower() for name in found}) == len(sweep)
    for name in found:
        assert re.fullmatch(r"[A-Za-z_][\w.+,=~-]*", name, re.ASCII)
        assert len(name) <= LONGEST + 9


def test_long_names_are_cut_and_stay_apart():
    found = names(over("data.name", "x" * 500 + "a", "x" * 500 + "b"))
    assert len(set(found)) == 2 and all(len(name) < 140 for name in found)


def test_the_algebra_needs_no_jax():
    code = "import sys, launch.algebra, launch.plan; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_choices_are_dataclasses():
    assert choice("seed", 1, 2) == Choice("seed", (1, 2))
