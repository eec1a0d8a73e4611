"""Autoregressive generators of targets without padding."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.sampling.logits import sample_token
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.spaces import Array, Category, Tokens
from tests.generators.autoregressive.compiled import (
    TRACES,
    full_logits,
    log_prob,
    loss,
    random_variables,
    sample,
    unguided_logits,
)

CLASS, WORDS = Category(3), Tokens(2, 5)
TARGET_SPACE = Tokens(4, 3)
PREFIX = Autoregressive(
    WORDS, TARGET_SPACE, width=8, num_layers=1, num_heads=2, mlp_ratio=2.0
)
CROSS = dataclasses.replace(PREFIX, source_space=CLASS, conditioning="cross")
DROPPING = dataclasses.replace(CROSS, source_dropout=0.0, dropout=0.3)
PREFIX_GUIDED = dataclasses.replace(PREFIX, guidance=2.0, temperature=0.8, top_k=2)
CROSS_GUIDED = dataclasses.replace(CROSS, guidance=0.5, top_p=0.9)
BATCH = 32
SOURCES = {
    WORDS: jnp.tile(jnp.array([[0, 1], [2, 3], [4, 4], [3, 0]]), (BATCH // 4, 1)),
    CLASS: jnp.arange(BATCH) % 3,
}
KEYS = jax.random.split(jax.random.key(1), BATCH)
TARGET = jnp.asarray(np.random.default_rng(1).integers(0, 3, (BATCH, 4)))
ALL_TARGETS = jnp.array(list(itertools.product(range(3), repeat=4)))

compiled_sample_token = jax.jit(sample_token, static_argnums=(2, 3, 4))


def sample_by_full_passes(
    model: Autoregressive, variables, keys, source, sample_fn=compiled_sample_token
) -> np.ndarray:
    """Samples as `sample` should, by forward passes over the tokens so far."""
    target = jnp.zeros((len(source), model.target_space.length), jnp.int32)
    for index in range(model.target_space.length):
        logits = full_logits(model, variables, source, target)[:, index, 0]
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, index)
        options = model.temperature, model.top_k, model.top_p
        target = target.at[:, index].set(sample_fn(step_keys, logits, *options))
    return np.asarray(target)


@pytest.mark.parametrize(
    "model",
    [PREFIX_GUIDED, CROSS_GUIDED, CROSS],
    ids=["prefix-guided-top_k", "cross-guided-top_p", "cross"],
)
def test_samples_equal_those_of_full_passes(model):
    variables, source = random_variables(model), SOURCES[model.source_space]
    tokens = sample(model, variables, KEYS, source)
    assert tokens.shape == (BATCH, 4) and tokens.dtype == np.int32
    expected = sample_by_full_passes(model, variables, KEYS, source)
    np.testing.assert_array_equal(tokens, expected)
    assert len(np.unique(tokens, axis=0)) > 5


def test_sampling_compiles_once_and_treats_examples_alone():
    model = PREFIX_GUIDED
    variables, source = random_variables(model), SOURCES[WORDS]
    tokens = sample(model, variables, KEYS, source)
    reversed_tokens = sample(model, variables, KEYS[::-1], source[::-1])
    other_keys = jax.random.split(jax.random.key(9), BATCH)
    other = sample(model, variables, other_keys, source)
    assert TRACES.count(model) == 1
    np.testing.assert_array_equal(reversed_tokens, tokens[::-1])
    assert not np.array_equal(other, tokens)
    single = sample(model, variables, KEYS[2:3], source[2:3])
    np.testing.assert_array_equal(single, tokens[2:3])


def test_temperature_0_is_greedy():
    model = dataclasses.replace(CROSS, temperature=0.0)
    variables, source = random_variables(model), SOURCES[CLASS]
    tokens = sample(model, variables, KEYS, source)

    def argmax(keys, logits, *options):
        return logits.argmax(axis=-1)

    expected = sample_by_full_passes(model, variables, KEYS, source, argmax)
    np.testing.assert_array_equal(tokens, expected)
    np.testing.assert_array_equal(sample(model, variables, KEYS[::-1], source), tokens)


def test_guidance_1_is_conditional_and_0_ignores_source():
    variables, source = random_variables(CROSS), SOURCES[CLASS]
    plain = sample(CROSS, variables, KEYS, source)
    # Any guidance but 1 takes the path of two predictions.
    nearly = dataclasses.replace(CROSS, guidance=1.0 + 1e-6)
    np.testing.assert_array_equal(sample(nearly, variables, KEYS, source), plain)
    unconditional = dataclasses.replace(CROSS, guidance=0.0)
    same_keys = jnp.broadcast_to(KEYS[0], (BATCH,))
    tokens = sample(unconditional, variables, same_keys, source)
    np.testing.assert_array_equal(tokens, np.broadcast_to(tokens[0], tokens.shape))


@pytest.mark.parametrize("model", [PREFIX, CROSS], ids=["prefix", "cross"])
def test_probabilities_of_all_targets_sum_to_one(model):
    variables = random_variables(model)
    for example in SOURCES[model.source_space][:2]:
        source = jnp.broadcast_to(example, (81, *example.shape))
        log_probs = log_prob(model, variables, source, ALL_TARGETS)
        assert log_probs.shape == (81,) and log_probs.dtype == np.float32
        np.testing.assert_allclose(np.exp(log_probs).sum(), 1, rtol=1e-5)
        logits = np.float64(full_logits(model, variables, source, ALL_TARGETS))[:, :, 0]
        steps = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        steps = np.take_along_axis(steps, np.asarray(ALL_TARGETS)[..., None], -1)
        np.testing.assert_allclose(log_probs, steps[..., 0].sum(axis=1), rtol=1e-5)
    assert np.ptp(log_probs) > 1


def test_sample_frequencies_match_log_prob():
    number = 8192
    keys = jax.random.split(jax.random.key(3), number)
    variables = random_variables(PREFIX)
    source = jnp.broadcast_to(SOURCES[WORDS][0], (number, 2))
    tokens = sample(PREFIX, variables, keys, source)
    codes = np.asarray(tokens) @ [27, 9, 3, 1]
    frequency = np.bincount(codes, minlength=81) / number
    p = np.exp(log_prob(PREFIX, variables, source[:81], ALL_TARGETS))
    # Five standard deviations of a binomial fraction, for each of 81 sequences.
    np.testing.assert_array_less(
        np.abs(frequency - p), 5 * np.sqrt(p / number) + 1 / number
    )


def test_overfitted_model_samples_its_data():
    data = jnp.array([[0, 2, 1, 2], [2, 2, 0, 1], [1, 0, 0, 2]])
    optimizer = optax.adam(2e-2)

    @jax.jit
    def step(variables, moments, keys):
        def mean(variables):
            return CROSS.loss(variables, keys, jnp.arange(3), data, True).loss.mean()

        updates, moments = optimizer.update(jax.grad(mean)(variables), moments)
        return optax.apply_updates(variables, updates), moments

    variables = random_variables(CROSS)
    moments = jax.jit(optimizer.init)(variables)
    for keys in jax.random.split(jax.random.key(0), (300, 3)):
        variables, moments = step(variables, moments, keys)

    classes = SOURCES[CLASS]
    np.testing.assert_array_equal(
        sample(CROSS, variables, KEYS, classes), data[classes]
    )
    likelihood = np.exp(log_prob(CROSS, variables, classes, data[classes]))
    assert likelihood.min() > 0.99


def loss_and_grads(model: Autoregressive):
    def mean(variables):
        return model.loss(variables, KEYS, SOURCES[CLASS], TARGET, True).loss.mean()

    return jax.jit(jax.value_and_grad(mean))(random_variables(DROPPING))


@pytest.fixture(scope="module")
def reference():
    return loss_and_grads(DROPPING)


def test_remat_leaves_loss_and_gradients(reference):
    recomputed = loss_and_grads(dataclasses.replace(DROPPING, remat="full"))
    compare = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(compare, recomputed, reference)


def test_bfloat16_is_near_float32(reference):
    value, grads = loss_and_grads(dataclasses.replace(DROPPING, dtype="bfloat16"))
    assert value.dtype == np.float32
    assert value != reference[0]
    np.testing.assert_allclose(value, reference[0], rtol=0.02)
    rounded, exact = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
        for tree in (grads, reference[1])
    )
    assert np.linalg.norm(rounded - exact) < 0.05 * np.linalg.norm(exact)
    assert {x.dtype for x in jax.tree.leaves(grads)} == {np.dtype(np.float32)}


def expected_loss(model: Autoregressive, drop: jax.Array) -> tuple:
    """Cross-entropy and accuracy by example, from logits."""
    variables, source = random_variables(model), SOURCES[CLASS]
    logits = unguided_logits(
        model.network, TARGET_SPACE, variables, source, TARGET, drop
    )[:, :, 0]
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, TARGET)
    return nats.mean(axis=1), np.mean(np.argmax(logits, axis=-1) == TARGET, axis=1)


def test_dropout_depends_on_example_and_is_off_in_evaluation():
    variables, source = random_variables(DROPPING), SOURCES[CLASS]
    trained = loss(DROPPING, variables, KEYS, source, TARGET, True).loss
    turned = loss(
        DROPPING, variables, KEYS[::-1], source[::-1], TARGET[::-1], True
    ).loss
    np.testing.assert_allclose(turned[::-1], trained, rtol=1e-5)
    others = loss(DROPPING, variables, KEYS[::-1], source, TARGET, True).loss
    assert np.abs(others - trained).max() > 1e-2

    evaluated = loss(DROPPING, variables, KEYS, source, TARGET, False)
    nats, accuracy = expected_loss(DROPPING, jnp.zeros(BATCH, bool))
    np.testing.assert_allclose(evaluated.loss, nats, rtol=1e-5)
    np.testing.assert_allclose(evaluated.metrics["token_accuracy"], accuracy)


def test_training_drops_source_at_given_rate():
    keys = jax.random.split(jax.random.key(4), 20_000)
    dropped = source_dropouts(keys, 0.1, train=True)
    assert abs(np.mean(dropped) - 0.1) < 5 * np.sqrt(0.09 / 20_000)
    assert not np.any(source_dropouts(keys, 0.1, train=False))
    assert not np.any(source_dropouts(keys, 0.0, train=True))

    model = dataclasses.replace(CROSS, source_dropout=0.5)
    drop = source_dropouts(KEYS, 0.5, train=True)
    assert 0 < np.sum(drop) < BATCH
    variables = random_variables(model)
    nats = loss(model, variables, KEYS, SOURCES[CLASS], TARGET, True).loss
    np.testing.assert_allclose(nats, expected_loss(model, drop)[0], rtol=1e-5)


def test_one_token_is_a_target():
    model = dataclasses.replace(
        PREFIX, source_space=Array((2, 3), 0.0, 1.0), target_space=Tokens(1, 3)
    )
    source = jnp.full((BATCH, 2, 3), 0.3)
    tokens = jax.eval_shape(lambda: model.sample(model.init(KEYS[0]), KEYS, source))
    assert tokens.shape == (BATCH, 1) and tokens.dtype == np.int32
