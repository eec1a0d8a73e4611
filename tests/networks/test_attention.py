"""Attention and the MLP against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.attention import MLP, attend, rotate


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(q, k, v, mask) -> np.ndarray:
    """One query and one head at a time, in float64."""
    batch, queries, heads, dim = q.shape
    y = np.zeros((batch, queries, heads, v.shape[-1]))
    for b, i, h in np.ndindex(batch, queries, heads):
        scores = k[b, :, h].astype(np.float64) @ q[b, i, h] / np.sqrt(dim)
        weights = np.where(mask[b, h, i], np.exp(scores - scores.max()), 0)
        y[b, i, h] = weights / weights.sum() @ v[b, :, h]
    return y


@pytest.mark.parametrize("masked", [False, True])
def test_attend_matches_a_loop(masked):
    q, k, v = draw(2, 3, 2, 4), draw(2, 5, 2, 4, seed=1), draw(2, 5, 2, 4, seed=2)
    mask = np.ones((2, 2, 3, 5), bool)
    if masked:
        mask = np.random.default_rng(3).random(mask.shape) < 0.6
        mask[..., 0] = True
    y = attend(q, k, v, mask if masked else None)
    np.testing.assert_allclose(y, reference(q, k, v, mask), atol=1e-6)


def test_attend_broadcasts_its_mask():
    q = draw(2, 5, 2, 4)
    causal = np.tri(5, dtype=bool)
    expected = reference(q, q, q, np.broadcast_to(causal, (2, 2, 5, 5)))
    np.testing.assert_allclose(attend(q, q, q, causal), expected, atol=1e-6)


def test_a_query_that_sees_nothing_gets_the_mean_and_no_nan_gradient():
    q, v = draw(1, 2, 1, 4), draw(1, 3, 1, 4, seed=1)
    mask = np.array([[True, False, False], [False, False, False]])
    y = attend(q, v, v, mask)
    np.testing.assert_allclose(y[0, 0, 0], v[0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(y[0, 1, 0], v[0, :, 0].mean(0), atol=1e-6)
    gradient = jax.jit(jax.grad(lambda q: attend(q, v, v, mask).sum()))(q)
    assert np.isfinite(gradient).all()


def test_large_scores_neither_overflow_nor_leak():
    q = jnp.full((1, 1, 1, 4), 1e3)
    k = jnp.stack([jnp.full((4,), 1e3), jnp.full((4,), -1e3)])[None, :, None]
    v = jnp.array([[[[1.0]], [[2.0]]]])
    np.testing.assert_array_equal(attend(q, k, v), [[[[1.0]]]])


def test_bfloat16_inputs_give_bfloat16_near_float32():
    q, k, v = (draw(2, 9, 2, 8, seed=seed) for seed in range(3))
    y = attend(*(jnp.asarray(x, jnp.bfloat16) for x in (q, k, v)))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(y.astype(np.float32), attend(q, k, v), atol=0.03)


def test_mlp_matches_numpy():
    x = draw(3, 4)
    mlp = MLP(4, ratio=1.5)
    params = jax.jit(mlp.init)(jax.random.key(0), x)["params"]
    assert params["up"]["kernel"].shape == (4, 6)
    h = x @ params["up"]["kernel"] + params["up"]["bias"]
    h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    expected = h @ params["down"]["kernel"] + params["down"]["bias"]
    np.testing.assert_allclose(mlp.apply({"params": params}, x), expected, atol=1e-6)


def test_turned_queries_and_keys_tell_how_far_apart_they_are():
    rng = np.random.default_rng(0)
    q, k = jnp.asarray(rng.normal(size=(2, 1, 1, 1, 6)), jnp.float32)
    scores = [
        float(jnp.vdot(rotate(q, position + 3), rotate(k, position)))
        for position in (0, 5, 40)
    ]
    np.testing.assert_allclose(scores, scores[0], rtol=1e-5)
    assert abs(float(jnp.vdot(rotate(q, 1), rotate(k, 0))) - scores[0]) > 1e-2
    # The first pair of coordinates turns by a radian a position (equation 34).
    x = jnp.zeros((1, 1, 4, 6)).at[..., 0].set(1)
    turned = np.asarray(rotate(x, 2))[0, 0]
    angles = np.arange(2, 6)
    np.testing.assert_allclose(turned[:, 0], np.cos(angles), atol=1e-6)
    np.testing.assert_allclose(turned[:, 3], np.sin(angles), atol=1e-6)
