"""Padding of sources and targets has no part in what autoregressive generators compute."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.spaces import Array, Padded, Tokens
from tests.generators.autoregressive.compiled import (
    alignment,
    log_prob,
    loss,
    random_variables,
    sample,
)
from tests.generators.autoregressive.padded_models import (
    BATCH,
    CTC,
    KEYS,
    LENGTHS,
    MODELS,
    PREFIX,
    TEXT,
    WORD,
    all_targets,
    random_source,
    rows,
)


def assert_same(actual, expected):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6),
        actual,
        expected,
    )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_values_after_end_leave_results(model):
    variables = random_variables(model)
    targets = all_targets(model.target_space)
    target = targets[np.linspace(0, len(targets) - 1, BATCH).astype(int)]
    first_level = target if target.ndim == 2 else target[..., 0]
    after_end = np.cumsum(first_level == 0, axis=1) > 1
    after_end = after_end.reshape(*after_end.shape, *[1] * (target.ndim - 2))
    waste = np.random.default_rng(3).integers(0, 3, target.shape)
    wasted_target = jnp.asarray(np.where(after_end, waste, target))
    target = jnp.asarray(target)

    def results(keys, source, target):
        output = loss(model, variables, keys, source, target, False)
        weights = alignment(model, variables, source, target)
        return {
            "loss": output.loss,
            "metrics": output.metrics,
            "alignment": jnp.zeros(BATCH) if weights is None else weights,
            "log_prob": log_prob(model, variables, source, target),
            "sample": sample(model, variables, keys, source),
        }

    expected = results(KEYS, random_source(model), target)
    wasted_source = random_source(model, garbage=1)
    assert_same(results(KEYS, wasted_source, wasted_target), expected)
    # Nor does an example depend on the others: here all are the second one.
    index = np.ones(BATCH, int)
    alike = rows((KEYS, random_source(model, garbage=2), target), index)
    second = jax.tree.map(lambda x: jnp.repeat(x[1:2], BATCH, 0), expected)
    assert_same(results(*alike), second)


@pytest.mark.parametrize("model", [PREFIX, CTC], ids=["tokens", "array"])
def test_padded_source_equals_source_of_its_length(model):
    # The model with positions and source cut to 2 vectors is one for that length.
    model = dataclasses.replace(model, ctc=0.0, conditioning="cross")
    params = random_variables(model)["params"]
    cut = 2 if model.source_space == TEXT else 3
    short = Tokens(cut, 5) if model.source_space == TEXT else Array((cut, 2))
    exact_model = dataclasses.replace(model, source_space=short)
    encoder = dict(params["source_encoder"])
    embed = dict(encoder["embed"])
    embed["positions"] = embed["positions"][:2]
    exact_params = params | {"source_encoder": encoder | {"embed": embed}}
    if model.source_space == TEXT:
        source = jnp.full((6, 2), 3)
        padded = jnp.tile(jnp.array([3, 3, 0, 1]), (6, 1))
    else:
        values = jax.random.normal(KEYS[0], (6, 5, 2))
        source, padded = values[:, :3], Padded(values, jnp.full(6, 3))
    target = jnp.asarray(all_targets(WORD)[:6])
    np.testing.assert_allclose(
        log_prob(model, {"params": params}, padded, target),
        log_prob(exact_model, {"params": exact_params}, source, target),
        rtol=1e-5,
    )


def test_alignment_is_attention_without_padding():
    target = jnp.asarray(np.resize(all_targets(WORD), (BATCH, 3)))
    model = MODELS["ctc"]
    variables, source = random_variables(model), random_source(model)
    weights = alignment(model, variables, source, target)
    recomputed = dataclasses.replace(model, remat="full")
    again = alignment(recomputed, variables, source, target)
    np.testing.assert_allclose(again, weights, rtol=1e-5, atol=1e-6)
    assert weights.shape == (BATCH, 3, 3) and weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    padding = np.arange(3) >= np.maximum(-(-LENGTHS // 2), 1)[:, None]
    assert np.all(np.moveaxis(np.asarray(weights), 1, 2)[padding] == 0)
    assert np.ptp(weights[0]) > 0.01


def test_alignment_without_cross_attention_is_none():
    variables, source = random_variables(PREFIX), random_source(PREFIX)
    assert PREFIX.alignment(variables, source, jnp.zeros((BATCH, 3), int)) is None
