"""Attention, rotary embedding and the MLP against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.attention import (
    MLP,
    CrossAttention,
    SelfAttention,
    attend,
    attention_weights,
    rotate,
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(q, k, v, mask) -> np.ndarray:
    """Attends with one query and one head at a time, in float64."""
    batch, queries, heads, dim = q.shape
    y = np.zeros((batch, queries, heads, v.shape[-1]))
    for b, i, h in np.ndindex(batch, queries, heads):
        scores = k[b, :, h].astype(np.float64) @ q[b, i, h] / np.sqrt(dim)
        weights = np.where(mask[b, h, i], np.exp(scores - scores.max()), 0)
        y[b, i, h] = weights / weights.sum() @ v[b, :, h]
    return y


@pytest.mark.parametrize("masked", [False, True])
def test_attend_matches_loop(masked):
    q, k, v = normal(2, 3, 2, 4), normal(2, 5, 2, 4, seed=1), normal(2, 5, 2, 4, seed=2)
    mask = np.ones((2, 2, 3, 5), bool)
    if masked:
        mask = np.random.default_rng(3).random(mask.shape) < 0.6
        mask[..., 0] = True
    y = attend(q, k, v, mask if masked else None)
    np.testing.assert_allclose(y, reference(q, k, v, mask), atol=1e-6)


def test_attend_broadcasts_mask():
    q = normal(2, 5, 2, 4)
    causal = np.tri(5, dtype=bool)
    expected = reference(q, q, q, np.broadcast_to(causal, (2, 2, 5, 5)))
    np.testing.assert_allclose(attend(q, q, q, causal), expected, atol=1e-6)


def test_query_without_keys_gets_mean_and_finite_gradient():
    q, v = normal(1, 2, 1, 4), normal(1, 3, 1, 4, seed=1)
    mask = np.array([[True, False, False], [False, False, False]])
    y = attend(q, v, v, mask)
    np.testing.assert_allclose(y[0, 0, 0], v[0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(y[0, 1, 0], v[0, :, 0].mean(0), atol=1e-6)
    gradient = jax.jit(jax.grad(lambda q: attend(q, v, v, mask).sum()))(q)
    assert np.isfinite(gradient).all()


def test_attend_to_large_scores_neither_overflows_nor_leaks():
    q = jnp.full((1, 1, 1, 4), 1e3)
    k = jnp.stack([jnp.full((4,), 1e3), jnp.full((4,), -1e3)])[None, :, None]
    v = jnp.array([[[[1.0]], [[2.0]]]])
    np.testing.assert_array_equal(attend(q, k, v), [[[[1.0]]]])


def test_attend_in_bfloat16_is_near_float32():
    q, k, v = (normal(2, 9, 2, 8, seed=seed) for seed in range(3))
    y = attend(*(jnp.asarray(x, jnp.bfloat16) for x in (q, k, v)))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(np.float32), attend(q, k, v), atol=0.03)


def test_mlp_matches_numpy():
    x = normal(3, 4)
    mlp = MLP(4, ratio=1.5)
    params = jax.jit(mlp.init)(jax.random.key(0), x)["params"]
    assert params["up"]["kernel"].shape == (4, 6)
    h = x @ params["up"]["kernel"] + params["up"]["bias"]
    h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    expected = h @ params["down"]["kernel"] + params["down"]["bias"]
    np.testing.assert_allclose(mlp.apply({"params": params}, x), expected, atol=1e-6)


def test_rotated_queries_and_keys_depend_on_distance():
    rng = np.random.default_rng(0)
    q, k = jnp.asarray(rng.normal(size=(2, 1, 1, 1, 6)), jnp.float32)
    scores = [
        float(jnp.vdot(rotate(q, position + 3), rotate(k, position)))
        for position in (0, 5, 40)
    ]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)
    assert abs(float(jnp.vdot(rotate(q, 1), rotate(k, 0))) - scores[0]) > 1e-2
    # The first pair of coordinates rotates by a radian per position (equation 34).
    x = jnp.zeros((1, 1, 4, 6)).at[..., 0].set(1)
    rotated = np.asarray(rotate(x, 2))[0, 0]
    angles = np.arange(2, 6)
    np.testing.assert_allclose(rotated[:, 0], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(rotated[:, 3], np.sin(angles), atol=1e-6)


def by_head(x: np.ndarray) -> np.ndarray:
    """[B, L, H, D] as [B, H, L, D]."""
    return x.swapaxes(1, 2)


def test_attention_weights_are_those_of_attend_averaged_over_heads():
    q, k = normal(2, 3, 2, 4), normal(2, 5, 2, 4, seed=1)
    mask = np.arange(5) < np.array([3, 5])[:, None, None, None]
    weights = attention_weights(by_head(q), by_head(k).swapaxes(2, 3), mask)
    one_hot = np.broadcast_to(np.eye(5)[None, :, None], (2, 5, 2, 5))
    expected = reference(q, k, one_hot, np.broadcast_to(mask, (2, 2, 3, 5)))
    np.testing.assert_allclose(weights, expected.mean(axis=2), atol=1e-6)


def test_self_attention_has_kernels_by_head_and_matches_loop():
    x, mask = normal(2, 5, 6), np.tri(5, dtype=bool)
    attention = SelfAttention(num_heads=3)
    params = attention.init(jax.random.key(0), x, mask)["params"]
    assert params["qkv"]["kernel"].shape == (6, 3, 3, 2)
    assert params["out"]["kernel"].shape == (3, 2, 6)
    params = jax.tree.map(lambda p: normal(*p.shape, seed=4), params)
    y, (k, v) = attention.apply({"params": params}, x, mask)
    qkv = np.einsum("bqw,wnhd->nbqhd", x, params["qkv"]["kernel"])
    qkv += params["qkv"]["bias"][:, None, None]
    expected = reference(*qkv, np.broadcast_to(mask, (2, 3, 5, 5)))
    expected = np.einsum("bqhd,hdw->bqw", expected, params["out"]["kernel"])
    np.testing.assert_allclose(y, expected + params["out"]["bias"], atol=1e-5)
    np.testing.assert_allclose(k, by_head(qkv[1]).swapaxes(2, 3), atol=1e-6)
    np.testing.assert_allclose(v, by_head(qkv[2]), atol=1e-6)


def test_cross_attention_to_keys_and_values_equals_that_to_their_source():
    x, source = normal(2, 3, 6), normal(2, 4, 6, seed=1)
    mask = np.arange(4) < np.array([2, 4])[:, None, None, None]
    attention = CrossAttention(num_heads=3)
    variables = attention.init(jax.random.key(0), x, source, mask)
    params = variables["params"]
    assert params["q"]["kernel"].shape == (6, 3, 2)
    assert params["kv"]["kernel"].shape == (6, 2, 3, 2)
    assert params["out"]["kernel"].shape == (3, 2, 6)
    y, _, keys_values = attention.apply(variables, x, source, mask)
    again, _, _ = attention.apply(variables, x, keys_values, mask)
    np.testing.assert_array_equal(again, y)
    changed = np.where(np.arange(4)[:, None] < 2, source, 9)
    other, _, _ = attention.apply(variables, x, changed, mask)
    np.testing.assert_allclose(other[0], y[0], rtol=1e-6)
    assert np.abs(other[1] - y[1]).max() > 1e-3
