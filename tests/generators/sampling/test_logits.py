import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regen_jax.generators.sampling.logits import (
    classifier_free_guidance,
    filter_top_k_top_p,
    sample_token,
)


def kept_tokens(logits: np.ndarray, top_k: int, top_p: float) -> np.ndarray:
    """Whether `filter_top_k_top_p` keeps each token of one row, bool[V]."""
    kept = np.ones(len(logits), bool)
    if top_k:
        kept = np.array([np.sum(logits > x) < top_k for x in logits])
    if top_p < 1:
        weights = np.where(kept, np.exp(np.float64(logits - logits.max())), 0)
        p = weights / weights.sum()
        # Kept while the likelier tokens fall short of p.
        kept &= np.array([p[logits > x].sum() < top_p for x in logits])
    return kept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-4, 4), min_size=6, max_size=6),
    st.sampled_from([0, 1, 3, 6, 9]),
    st.sampled_from([1.0, 0.93, 0.51, 0.2, 1e-3]),
)
def test_filter_keeps_same_tokens_as_reference(halves, top_k, top_p):
    # Whole halves, so that ties are frequent.
    logits = np.array(halves, np.float32) / 2
    filtered = filter_top_k_top_p(jnp.asarray(logits[None]), top_k, top_p)
    expected = np.where(kept_tokens(logits, top_k, top_p), logits, -np.inf)
    np.testing.assert_array_equal(filtered[0], expected)


def test_filter_treats_rows_alone_and_in_any_order():
    logits = np.log([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
    logits = jnp.asarray(logits, jnp.float32)
    kept = np.isfinite(filter_top_k_top_p(logits, 0, 0.75))
    np.testing.assert_array_equal(kept, [[1, 1, 0, 0], [0, 1, 1, 1]])
    kept = np.isfinite(filter_top_k_top_p(logits, 1, 1.0))
    np.testing.assert_array_equal(kept, [[1, 0, 0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 3.0])
def test_classifier_free_guidance_matches_formula(guidance):
    logits = np.random.default_rng(0).normal(size=(2, 3, 5))
    # (1 + w) conditional - w unconditional, where guidance = 1 + w.
    expected = guidance * logits[0] - (guidance - 1) * logits[1]
    guided = classifier_free_guidance(*jnp.asarray(logits), guidance)
    np.testing.assert_allclose(guided, expected, rtol=1e-5, atol=1e-6)


def test_samples_follow_tempered_filtered_probabilities():
    number = 20_000
    keys = jax.random.split(jax.random.key(0), number)
    logits = np.array([1.0, 0.4, -0.3, 0.7, -2.0], np.float32)
    row = jnp.broadcast_to(logits, (number, 5))
    tokens = jax.jit(sample_token, static_argnums=(2, 3, 4))(keys, row, 0.5, 3, 1.0)
    assert tokens.dtype == np.int32
    p = np.where(logits > 0, np.exp(logits / 0.5), 0)
    p /= p.sum()
    frequency = np.bincount(tokens, minlength=5) / number
    np.testing.assert_array_less(np.abs(frequency - p), 5 * np.sqrt(p / number) + 1e-9)


def test_extreme_temperatures_give_likeliest_or_any_token():
    logits = np.array([[3e38, 2.9e38, 5.0], [-9.0, 4.0, -np.inf]], np.float32)
    rows = np.repeat(logits, 500, axis=0)
    keys = jax.random.split(jax.random.key(0), len(rows))
    compiled = jax.jit(sample_token, static_argnums=(2, 3, 4))
    tokens = compiled(keys, rows, float(np.finfo(np.float32).tiny), 2, 0.9)
    np.testing.assert_array_equal(tokens, logits.argmax(axis=-1).repeat(500))
    tokens = np.asarray(compiled(keys, np.minimum(rows, 9), 1e6, 0, 1.0))
    first, second = tokens.reshape(2, 500)
    assert set(first.tolist()) == {0, 1, 2} and set(second.tolist()) == {0, 1}


def test_temperature_0_takes_likeliest_token():
    logits = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    keys = jax.random.split(jax.random.key(0), 7)
    tokens = sample_token(keys, logits, 0.0, 2, 0.5)
    assert tokens.dtype == np.int32
    np.testing.assert_array_equal(tokens, logits.argmax(axis=-1))
