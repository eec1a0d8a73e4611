import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.metrics.codebook import code_counts, perplexity, use

COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any)


def test_counts_are_those_of_numpy_and_add_up_over_batches():
    codes = np.random.default_rng(0).integers(0, 7, size=(6, 3, 2)).astype(np.int32)
    got = jax.jit(code_counts, static_argnames="vocab")(codes, vocab=9)
    assert got.shape == (9,) and got.dtype == jnp.int32
    np.testing.assert_array_equal(got, np.bincount(codes.reshape(-1), minlength=9))
    np.testing.assert_array_equal(
        got, code_counts(codes[:2], 9) + code_counts(codes[2:], 9)
    )


def test_use_and_perplexity_of_known_counts():
    assert use(np.array([3, 0, 1, 0])) == 0.5
    assert perplexity(np.array([5, 0, 5, 0])) == pytest.approx(2, rel=1e-14)
    assert perplexity(np.array([3, 1])) == pytest.approx(4 / 3**0.75, rel=1e-14)
    with pytest.raises(ValueError, match="at least one code"):
        perplexity(np.zeros(3))


@settings(max_examples=50, deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 99))
def test_bounds_and_permutation(counts, seed):
    counts = np.array(counts)
    share = use(counts)
    assert 1 / len(counts) <= share <= 1
    value = perplexity(counts)
    assert 1 - 1e-12 <= value <= share * len(counts) * (1 + 1e-12)
    shuffled = np.random.default_rng(seed).permutation(counts)
    assert use(shuffled) == share
    assert perplexity(shuffled) == pytest.approx(value, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(vocab=st.integers(1, 1000), count=st.integers(1, 10**6))
def test_uniform_counts_have_the_perplexity_of_the_vocabulary(vocab, count):
    counts = np.full(vocab, count)
    assert use(counts) == 1
    assert perplexity(counts) == pytest.approx(vocab, rel=1e-12)
