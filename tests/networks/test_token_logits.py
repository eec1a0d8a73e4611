import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.loss_output import masked_mean
from regen_jax.networks.token_logits import (
    accuracies,
    argmax_tokens,
    loss_mask,
    mask_after_end,
    mask_invalid,
    smoothed_log_probs,
    token_log_probs,
    token_weights,
)
from regen_jax.spaces import Tokens

FLAT = Tokens(4, 5, padded=True)
STACK = Tokens(3, 4, 2, padded=True)
WHOLE = Tokens(4, 5)
# What stands after the first 0 means nothing.
Y_FLAT = np.array([[3, 1, 0, 4], [0, 2, 2, 2], [1, 2, 3, 4]], np.int32)
Y_STACK = np.array(
    [[[2, 3], [0, 1], [3, 3]], [[1, 1], [2, 2], [3, 3]], [[0, 0], [1, 0], [0, 2]]],
    np.int32,
)


def test_mask_after_end_leaves_zeros_after_end():
    expected = [[3, 1, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]]
    np.testing.assert_array_equal(mask_after_end(FLAT, Y_FLAT), expected)
    np.testing.assert_array_equal(mask_after_end(WHOLE, Y_FLAT), Y_FLAT)
    expected = [
        [[2, 3], [0, 0], [0, 0]],
        [[1, 1], [2, 2], [3, 3]],
        [[0, 0], [0, 0], [0, 0]],
    ]
    np.testing.assert_array_equal(mask_after_end(STACK, Y_STACK), expected)


def test_loss_mask_reaches_up_to_end():
    expected = [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    np.testing.assert_array_equal(loss_mask(FLAT, Y_FLAT), np.array(expected, bool))
    expected = [
        [[1, 1], [1, 0], [0, 0]],
        [[1, 1], [1, 1], [1, 1]],
        [[1, 0], [0, 0], [0, 0]],
    ]
    np.testing.assert_array_equal(loss_mask(STACK, Y_STACK), np.array(expected, bool))
    assert loss_mask(WHOLE, Y_FLAT) is None


def test_token_weights_are_tokens_in_loss_mask():
    weights = token_weights(FLAT, Y_FLAT, ("loss",))
    assert {name: value.tolist() for name, value in weights.items()} == {
        "loss": [3, 1, 4],
        "token_accuracy": [3, 1, 4],
    }
    weights = token_weights(STACK, Y_STACK)
    assert {name: value.tolist() for name, value in weights.items()} == {
        "token_accuracy": [3, 6, 1],
        "token_accuracy_1": [2, 3, 1],
        "token_accuracy_2": [1, 3, 0],
    }
    assert token_weights(WHOLE, Y_FLAT, ("loss",)) == {}


def test_mask_invalid_leaves_0_to_first_level_of_padded_stack():
    logits = np.random.default_rng(0).normal(size=(2, *STACK.shape, STACK.vocab))
    expected = logits.copy()
    expected[:, :, 1, 0] = -np.inf
    np.testing.assert_allclose(mask_invalid(STACK, logits), expected)
    unpadded = Tokens(3, 4, 2)
    np.testing.assert_array_equal(mask_invalid(unpadded, logits), logits)


@pytest.mark.parametrize("space", [FLAT, STACK, WHOLE, Tokens(3, 4, 2)], ids=str)
def test_argmax_tokens_are_in_space(space):
    logits = np.random.default_rng(1).normal(size=(40, *space.shape, space.vocab))
    logits = logits.astype(np.float32)
    tokens = np.asarray(argmax_tokens(space, jnp.asarray(logits)))
    assert tokens.dtype == np.int32 and tokens.shape == logits.shape[:-1]
    stacks = tokens.reshape(40, space.length, space.depth)
    best = logits.reshape(40, space.length, space.depth, space.vocab)
    for example, row in zip(stacks, best, strict=True):
        over = False
        for stack, scores in zip(example, row, strict=True):
            over |= space.padded and np.argmax(scores[0]) == 0
            lowest = [0] + [int(space.padded)] * (space.depth - 1)
            expected = [
                0 if over else low + np.argmax(score[low:])
                for low, score in zip(lowest, scores, strict=True)
            ]
            assert stack.tolist() == expected


@pytest.mark.parametrize(
    ("space", "y"), [(FLAT, Y_FLAT), (STACK, Y_STACK), (WHOLE, Y_FLAT)], ids=str
)
def test_accuracies_and_log_probs_ignore_padding(space, y):
    rng = np.random.default_rng(2)
    y = np.concatenate([y, y])
    logits = rng.normal(size=(*y.shape, space.vocab)).astype(np.float32)
    logits[3:] += 9 * np.eye(space.vocab, dtype=np.float32)[y[3:]]
    mask = loss_mask(space, y)
    metrics = accuracies(space, logits, y)
    log_probs = token_log_probs(logits, y)
    mean = masked_mean(log_probs, mask)
    mask = np.ones(y.shape, bool) if mask is None else np.asarray(mask)
    for i, row in enumerate(logits):
        places = np.argwhere(mask[i])
        scores = [row[tuple(place)].astype(np.float64) for place in places]
        true = [y[i][tuple(place)] for place in places]
        # The first level alone may be 0.
        lowest = [
            int(space.padded and len(place) > 1 and place[1] > 0) for place in places
        ]
        hits = [
            low + np.argmax(score[low:]) == token
            for score, token, low in zip(scores, true, lowest, strict=True)
        ]
        assert metrics["token_accuracy"][i] == pytest.approx(np.mean(hits))
        if space.padded:
            assert metrics["sequence_accuracy"][i] == all(hits)
        nats = [
            score[token] - np.log(np.exp(score).sum())
            for score, token in zip(scores, true, strict=True)
        ]
        assert mean[i] == pytest.approx(np.mean(nats), rel=1e-5, abs=1e-6)
    assert np.all(metrics["token_accuracy"][3:] == 1)
    assert space.padded == ("sequence_accuracy" in metrics)


def test_smoothed_log_probs_are_cross_entropies_of_smoothed_labels():
    logits = jnp.asarray(np.random.default_rng(3).normal(size=(4, 6, 5)), jnp.float32)
    tokens = jnp.arange(24).reshape(4, 6) % 5
    labels = optax.smooth_labels(jax.nn.one_hot(tokens, 5), 0.3)
    expected = -optax.softmax_cross_entropy(logits, labels)
    smoothed = smoothed_log_probs(logits, tokens, 0.3)
    np.testing.assert_allclose(smoothed, expected, rtol=1e-5)
    # An id that cannot be has no part in it, nor a gradient of NaN.
    ruled_out = jnp.pad(logits, ((0, 0), (0, 0), (0, 1)), constant_values=-jnp.inf)

    def total(logits: jax.Array) -> jax.Array:
        return smoothed_log_probs(logits, tokens, 0.3).sum()

    value, gradient = jax.value_and_grad(total)(ruled_out)
    np.testing.assert_allclose(value, expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient[..., :5], jax.grad(total)(logits), atol=1e-6)
    np.testing.assert_array_equal(gradient[..., 5], 0)
