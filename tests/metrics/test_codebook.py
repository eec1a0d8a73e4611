import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.metrics.codebook import code_counts, perplexity, usage

COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any)


def test_code_counts_equal_bincount_and_sum_over_batches():
    codes = np.random.default_rng(0).integers(0, 7, size=(6, 3, 2)).astype(np.int32)
    counts = jax.jit(code_counts, static_argnames="vocab")(codes, vocab=9)
    assert counts.shape == (9,) and counts.dtype == jnp.int32
    np.testing.assert_array_equal(counts, np.bincount(codes.reshape(-1), minlength=9))
    np.testing.assert_array_equal(
        counts, code_counts(codes[:2], 9) + code_counts(codes[2:], 9)
    )


def test_usage_and_perplexity_of_known_counts():
    assert usage(np.array([3, 0, 1, 0])) == 0.5
    assert perplexity(np.array([5, 0, 5, 0])) == pytest.approx(2, rel=1e-14)
    assert perplexity(np.array([3, 1])) == pytest.approx(4 / 3**0.75, rel=1e-14)
    with pytest.raises(ValueError, match="at least one code"):
        perplexity(np.zeros(3))


@settings(max_examples=50, deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 99))
def test_usage_and_perplexity_are_bounded_and_ignore_order(counts, seed):
    counts = np.array(counts)
    fraction = usage(counts)
    assert 1 / len(counts) <= fraction <= 1
    value = perplexity(counts)
    assert 1 - 1e-12 <= value <= fraction * len(counts) * (1 + 1e-12)
    shuffled = np.random.default_rng(seed).permutation(counts)
    assert usage(shuffled) == fraction
    assert perplexity(shuffled) == pytest.approx(value, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(vocab=st.integers(1, 1000), count=st.integers(1, 10**6))
def test_uniform_counts_have_perplexity_of_vocabulary_size(vocab, count):
    counts = np.full(vocab, count)
    assert usage(counts) == 1
    assert perplexity(counts) == pytest.approx(vocab, rel=1e-12)
