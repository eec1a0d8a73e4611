"""Wrong tokens in the network's input, and samples that keep tokens of a target."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.networks.perturbation import kept_positions, replace_tokens
from regen_jax.networks.token_logits import loss_mask
from regen_jax.spaces import Category, Tokens, lengths
from tests.generators.autoregressive.compiled import (
    full_logits,
    loss,
    random_variables,
    sample,
)

FLAT = Autoregressive(
    Category(3),
    Tokens(6, 4),
    width=8,
    num_layers=1,
    num_heads=2,
    source_dropout=0.0,
    temperature=0.0,
)
STACKS = dataclasses.replace(FLAT, target_space=Tokens(3, 4, 2))
PADDED = dataclasses.replace(FLAT, target_space=Tokens(6, 4, padded=True))
MODELS = pytest.mark.parametrize(
    "model", [FLAT, STACKS, PADDED], ids=["flat", "stacks", "padded"]
)
KEYS = jax.random.split(jax.random.key(2), 16)
SOURCE = jnp.arange(16) % 3

resample = jax.jit(Autoregressive.resample, static_argnums=0)


@functools.cache
def target(model):
    space = model.target_space
    tokens = np.random.default_rng(0).integers(1, 4, (16, *space.shape))
    if space.padded:
        tokens[np.arange(6) >= np.arange(16)[:, None] % 7] = 0
    return jnp.asarray(tokens)


@MODELS
def test_kept_tokens_stay_and_others_are_predicted_from_all_before(model):
    space, tokens = model.target_space, target(model)
    variables = random_variables(model)
    drawn = resample(model, variables, KEYS, SOURCE, tokens, 0.5)
    kept = kept_positions(space, KEYS, 0.5)
    assert 0.3 < kept.mean() < 0.7
    likeliest = full_logits(model, variables, SOURCE, drawn).argmax(axis=-1)
    likeliest = likeliest.reshape(drawn.shape)
    if space.depth > 1:
        kept = kept[..., None]
    expected = jnp.where(kept, tokens, likeliest)
    mask = loss_mask(space, drawn)
    mask = jnp.ones(drawn.shape, bool) if mask is None else mask
    np.testing.assert_array_equal(
        jnp.where(mask, drawn, 0), jnp.where(mask, expected, 0)
    )


@MODELS
def test_fraction_of_1_samples_and_of_nearly_0_returns_the_target(model):
    variables, tokens = random_variables(model), target(model)
    drawn = resample(model, variables, KEYS, SOURCE, tokens, 1.0)
    np.testing.assert_array_equal(drawn, sample(model, variables, KEYS, SOURCE))
    drawn = resample(model, variables, KEYS, SOURCE, tokens, 1e-9)
    np.testing.assert_array_equal(drawn, tokens)


def test_resampled_padded_targets_are_valid():
    variables = random_variables(PADDED)
    drawn = resample(PADDED, variables, KEYS, SOURCE, target(PADDED), 0.5)
    length = lengths(PADDED.target_space, drawn)
    np.testing.assert_array_equal(drawn == 0, np.arange(6) >= length[:, None])


@pytest.mark.parametrize("model", [FLAT, PADDED], ids=["flat", "padded"])
def test_input_noise_changes_what_is_read_and_not_what_is_predicted(model):
    tokens, variables = target(model), random_variables(model)
    noisy_model = dataclasses.replace(model, input_noise=0.5)
    noisy = replace_tokens(model.target_space, KEYS, tokens, 0.5)
    output = loss(noisy_model, variables, KEYS, SOURCE, tokens, True)
    log_probs = jax.nn.log_softmax(
        full_logits(model, variables, SOURCE, noisy)[:, :, 0]
    )
    nats = -jnp.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
    mask = loss_mask(model.target_space, tokens)
    mask = jnp.ones_like(tokens) if mask is None else mask
    expected = (nats * mask).sum(axis=1) / mask.sum(axis=1)
    np.testing.assert_allclose(output.loss, expected, rtol=1e-4)


def test_input_noise_is_of_training_alone():
    variables, tokens = random_variables(FLAT), target(FLAT)
    noisy_model = dataclasses.replace(FLAT, input_noise=0.5)

    def program(model, train):
        trace = jax.make_jaxpr(model.loss, static_argnums=4)
        return str(trace(variables, KEYS, SOURCE, tokens, train))

    assert program(noisy_model, False) == program(FLAT, False)
    assert program(noisy_model, True) != program(FLAT, True)
