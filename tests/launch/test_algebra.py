import itertools
import math
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution, IntDistribution

from launch.algebra import (
    MAX_NAME_LENGTH,
    chain,
    config_choice,
    grid,
    names,
    product,
    sample,
    zip_,
)
from launch.search_space import Search
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
    return product(*(grid(field, *draw(values)) for field in chosen))


def test_grid_and_config_choice_make_a_run_per_value():
    assert grid("prior.top_p", 0.5, 1.0) == [{"prior.top_p": 0.5}, {"prior.top_p": 1.0}]
    assert config_choice("abstraction", "vq") == [{":abstraction": "vq"}]
    assert grid("abstraction.widths", [4, 8]) == [{"abstraction.widths": (4, 8)}]


@quick
@given(sweeps(FIELDS[:2]), sweeps(FIELDS[2:]))
def test_product_equals_itertools_product_in_order(first, second):
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
def test_zip_joins_runs_of_the_same_place(first, second):
    number = min(len(first), len(second))
    zipped = zip_(first[:number], second[:number])
    assert zipped == [first[i] | second[i] for i in range(number)]


@quick
@given(sweeps(), st.data())
def test_chain_of_parts_equals_whole(sweep, data):
    cut = data.draw(st.integers(0, len(sweep)))
    assert chain(sweep[:cut], sweep[cut:]) == sweep


@quick
@given(sweeps(), st.integers(0, 2**31 - 1), st.data())
def test_sample_keeps_order_without_repeats(sweep, seed, data):
    number = data.draw(st.integers(1, len(sweep)))
    sampled = sample(sweep, number, seed)
    places = [sweep.index(run) for run in sampled]
    assert len(sampled) == number and places == sorted(set(places))
    assert sampled == sample(sweep, number, seed)


def test_sample_is_reproducible_and_uniform():
    ten = grid("seed", *range(10))
    assert [run["seed"] for run in sample(ten, 4, seed=0)] == [2, 3, 5, 7]
    counts = [0] * 10
    for seed in range(2000):
        for run in sample(ten, 3, seed):
            counts[run["seed"]] += 1
    # 600 each, with a standard deviation of 20.
    assert all(abs(count - 600) < 100 for count in counts)


WRONG = {
    "no values": (lambda: grid("seed"), "seed has no values"),
    "twice": (lambda: grid("seed", 1, 2, 1), "the same run twice: {'seed': 1}"),
    "no field": (lambda: grid("prior top_p", 1), "'prior top_p' is no field"),
    "no number": (lambda: grid("seed", None), "seed must be a number.* not None"),
    "nan": (lambda: grid("prior.top_p", float("nan")), "top_p must be finite.* nan"),
    "huge": (lambda: grid("prior.guidance", (1.0, 1e39)), "guidance must be finite"),
    "infinite": (
        lambda: Search({"prior.dropout": FloatDistribution(0, math.inf)}, "prior/nll"),
        "an end of prior.dropout must be finite",
    ),
    "seed of a sample": (
        lambda: sample(grid("seed", 0), 1, 2**31),
        "sample must be at mo",
    ),
    "section": (lambda: grid("prior", {"width": 3}), "prior must be a number"),
    "set twice": (
        lambda: product(grid("seed", 0), grid("seed", 1)),
        "seed is set twice in one run",
    ),
    "zipped": (
        lambda: zip_(grid("seed", 0, 1), grid("prior.width", 1)),
        r"sweeps of \[2, 1\] runs: lengths differ",
    ),
    "chained twice": (
        lambda: chain(grid("seed", 0, 1), grid("seed", 1)),
        "the same run twice",
    ),
    "too many": (lambda: sample(grid("seed", 0), 2, 0), "sample 2 of 1"),
    "no distribution": (
        lambda: Search({"prior.dropout": 0.1}, "prior/nll"),
        "dropout must be a list of values, a FloatDistribution or",
    ),
    "no choice": (lambda: Search({"prior.dropout": []}, "prior/nll"), "no values"),
    "no space": (lambda: Search({}, "prior/nll"), "space must be a dict"),
    "no field of a search": (
        lambda: Search({"a b": IntDistribution(0, 9)}, "prior/nll"),
        "'a b' is no field",
    ),
    "trials": (
        lambda: Search({"seed": IntDistribution(0, 9)}, "prior/nll", trials=0),
        "at least 1",
    ),
    "seed of a search": (
        lambda: Search({"seed": IntDistribution(0, 9)}, "prior/nll", seed=2**32),
        "seed must be at most 2147483647",
    ),
    "no int": (
        lambda: Search({"seed": IntDistribution(0, 9)}, "prior/nll", trials=1.5),
        "trials must be an int, not 1.5",
    ),
}


@pytest.mark.parametrize("make, words", WRONG.values(), ids=WRONG)
def test_invalid_sweep_raises_user_error_of_one_line(make, words):
    with pytest.raises(UserError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_names_contain_only_changing_fields():
    sweep = product(
        config_choice("abstraction", "fsq", "vq"),
        grid("seed", 0, 1),
        grid("prior.top_p", 0.9),
    )
    assert names(sweep)[1] == "abstraction=fsq,seed=1"
    assert names(grid("prior.width", 16)) == ["width=16"]
    assert names([{}, {"seed": 1}]) == ["default", "seed=1"]


def test_names_use_shortest_unambiguous_end_of_path():
    sweep = product(
        grid("train.prior.steps", 1, 2),
        grid("train.decoder.steps", 1, 2),
        grid("prior.width", 1, 2),
    )
    assert names(sweep)[0] == "prior.steps=1,decoder.steps=1,width=1"
    assert names(grid("data.name", "a/b c", "(x)")) == ["name=a_b_c", "name=_x_"]
    assert names(grid("abstraction.levels", (8, 5), (4,))) == ["levels=8x5", "levels=4"]


@quick
@given(sweeps())
def test_names_are_unique_and_valid_file_names(sweep):
    run_names = names(sweep)
    assert len({name.lower() for name in run_names}) == len(sweep)
    for name in run_names:
        assert re.fullmatch(r"[A-Za-z_][\w.+,=~-]*", name, re.ASCII)
        assert len(name) <= MAX_NAME_LENGTH + 9


def test_long_names_are_cut_and_stay_distinct():
    long_names = names(grid("data.name", "x" * 500 + "a", "x" * 500 + "b"))
    assert len(set(long_names)) == 2 and all(len(name) < 140 for name in long_names)


def test_algebra_imports_no_jax():
    code = (
        "import sys, launch.algebra, launch.plan, launch.search_space, launch.local\n"
    )
    code += "assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
