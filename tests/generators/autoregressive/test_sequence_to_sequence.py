"""Autoregressive generators of padded sequences from padded sources."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.spaces import Tokens, lengths
from tests.generators.autoregressive.compiled import (
    full_logits,
    log_prob,
    loss,
    random_variables,
    sample,
)
from tests.generators.autoregressive.padded_models import (
    ALIGNED,
    BATCH,
    KEYS,
    MODELS,
    PREFIX,
    STACK,
    WORD,
    all_targets,
    random_source,
    rows,
)


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request) -> Autoregressive:
    return request.param


def test_probabilities_of_all_targets_sum_to_one(model):
    targets = all_targets(model.target_space)
    number = len(targets)
    assert number == {1: 1 + 2 + 4 + 8, 2: 1 + 4 + 16}[model.target_space.depth]
    # As many sources as fit in a batch; what is left of it is not looked at.
    count = BATCH // number
    index = np.minimum(np.arange(BATCH) // number, count - 1)
    target = jnp.asarray(targets[np.arange(BATCH) % number])
    source = rows(random_source(model), index)
    p = np.exp(log_prob(model, random_variables(model), source, target))
    p = p[: count * number].reshape(count, number)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (p.max(axis=1) > 3 * p.min(axis=1)).all()


def test_probabilities_of_all_full_stacks_sum_to_one():
    space = Tokens(2, 2, depth=2)
    model = dataclasses.replace(PREFIX, target_space=space)
    target = jnp.array(list(itertools.product(range(2), repeat=4))).reshape(-1, 2, 2)
    source = rows(random_source(model), np.full(len(target), 2))
    variables = random_variables(model)
    p = np.exp(log_prob(model, variables, source, target))
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    tokens = sample(model, variables, KEYS[: len(target)], source)
    assert tokens.shape == target.shape and np.ptp(tokens) == 1 and tokens.max() == 1


def greedy_by_full_passes(model: Autoregressive, variables, source) -> np.ndarray:
    """The likeliest token of each position, level by level, given those before."""
    length, depth = model.target_space.length, model.target_space.depth
    target = np.zeros((BATCH, *model.target_space.shape), int)
    levels = target.reshape(BATCH, length, depth)
    for index, level in itertools.product(range(length), range(depth)):
        logits = np.array(full_logits(model, variables, source, jnp.asarray(target)))
        logits[:, :, 1:, 0] = -np.inf
        alive = np.all(levels[:, :index, 0] != 0, axis=1)
        alive &= (level == 0) | (levels[:, index, 0] != 0)
        likeliest = logits[:, index, level].argmax(axis=-1)
        levels[:, index, level] = np.where(alive, likeliest, 0)
    return target


def test_greedy_samples_equal_those_of_full_passes(model):
    greedy = dataclasses.replace(model, temperature=1.0, top_k=2, beam_size=1)
    variables, source = random_variables(model), random_source(model)
    tokens = sample(greedy, variables, KEYS, source)
    expected = greedy_by_full_passes(greedy, variables, source)
    np.testing.assert_array_equal(tokens, expected)
    assert len(np.unique(tokens, axis=0)) > 1


def test_temperature_0_equals_beam_of_1():
    variables, source = random_variables(ALIGNED), random_source(ALIGNED)
    options = {"temperature": 0.0}, {"temperature": 1.0, "top_k": 2, "beam_size": 1}
    first, second = (
        sample(dataclasses.replace(ALIGNED, **chosen), variables, KEYS, source)
        for chosen in options
    )
    np.testing.assert_array_equal(first, second)


def test_samples_end_once(model):
    tokens = sample(model, random_variables(model), KEYS, random_source(model))
    tokens = np.asarray(tokens)
    length = np.asarray(lengths(model.target_space, jnp.asarray(tokens)))
    inside = np.arange(model.target_space.length) < length[:, None]
    inside = np.broadcast_to(
        inside.reshape(*inside.shape, *[1] * (tokens.ndim - 2)), tokens.shape
    )
    np.testing.assert_array_equal(tokens != 0, inside)
    assert len(np.unique(length)) > 1 and tokens.max() < model.target_space.vocab


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_beam_that_holds_all_targets_finds_best(guidance):
    model = dataclasses.replace(
        PREFIX, guidance=guidance, beam_size=27, length_penalty=0.7
    )
    variables, source = random_variables(model), rows(random_source(model), slice(6))
    targets = all_targets(WORD)
    length = np.minimum(np.asarray(lengths(WORD, jnp.asarray(targets))) + 1, 3)
    found = sample(model, variables, KEYS[:6], source)
    target = jnp.asarray(np.resize(targets, (BATCH, 3)))
    for example in range(6):
        repeated = rows(source, np.full(BATCH, example))
        logits = full_logits(model, variables, repeated, target)[: len(targets)]
        log_probs = jax.nn.log_softmax(logits)[:, :, 0]
        steps = np.take_along_axis(log_probs, targets[..., None], -1)[..., 0]
        total = np.where(np.arange(3) < length[:, None], steps, 0).sum(axis=1)
        best = np.argmax(total / ((5 + length) / 6) ** 0.7)
        np.testing.assert_array_equal(found[example], targets[best])


def test_loss_and_accuracy_count_tokens_up_to_end():
    variables, source = random_variables(PREFIX), random_source(PREFIX)
    target = np.array(
        [[1, 2, 1], [1, 0, 0], [0, 0, 0], [2, 2, 0], [2, 0, 0], [1, 1, 2]]
    )
    counts = [3, 2, 1, 3, 2, 3]
    target = jnp.asarray(np.tile(target, (BATCH // 6, 1)))
    output = loss(PREFIX, variables, KEYS, source, target, False)
    logits = full_logits(PREFIX, variables, source, target)[:, :, 0]
    log_probs = np.asarray(jax.nn.log_softmax(logits))
    for example, count in enumerate(counts):
        true = np.asarray(target[example, :count])
        chosen = log_probs[example, np.arange(count), true]
        np.testing.assert_allclose(output.loss[example], -chosen.mean(), rtol=1e-5)
        hits = log_probs[example, :count].argmax(axis=-1) == true
        accuracy = output.metrics["token_accuracy"][example]
        np.testing.assert_allclose(accuracy, hits.mean(), rtol=1e-6)
        assert output.metrics["sequence_accuracy"][example] == hits.all()
    # Over the batch every token counts the same, as in its likelihood.
    sums = output.weighted_sums()
    nats = -log_prob(PREFIX, variables, source, target).sum()
    number = sum(counts) * BATCH // 6
    np.testing.assert_allclose(sums["loss"], [nats, number], rtol=1e-5)
    assert sums["token_accuracy"][1] == number
    assert sums["sequence_accuracy"][1] == BATCH


def test_gradients_of_stacks_are_finite():
    target = jnp.asarray(np.resize(all_targets(STACK), (BATCH, 2, 2)))
    source = random_source(ALIGNED)

    def mean(variables):
        return ALIGNED.loss(variables, KEYS, source, target, True).loss.mean()

    grads = jax.tree.leaves(jax.jit(jax.grad(mean))(random_variables(ALIGNED)))
    assert np.all(np.isfinite([np.abs(x).max() for x in grads]))
    assert np.max([np.abs(x).max() for x in grads]) > 0


@pytest.mark.parametrize(
    "change, words",
    [
        (
            {"head": "pointer"},
            "head 'pointer' needs padded source Tokens of the target's",
        ),
        (
            {"head": "tied"},
            "head 'tied' needs source Tokens of the target's vocabulary",
        ),
        ({"conditioning": "aligned"}, "has 4 positions for 3"),
        ({"conditioning": "none"}, "must be 'prefix', 'cross' or 'aligned'"),
    ],
)
def test_option_that_does_not_fit_spaces_raises(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(PREFIX, **change)
