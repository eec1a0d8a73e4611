"""The CTC loss, alone and as a part of the loss of a generator."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.autoregressive.ctc import ctc_nats
from tests.generators.autoregressive.compiled import random_variables
from tests.generators.autoregressive.padded_models import (
    CTC,
    KEYS,
    random_source,
    rows,
)


def test_ctc_nats_sum_over_all_alignments():
    logits = np.random.default_rng(4).normal(size=(5, 4, 3)).astype(np.float32)
    target = jnp.array([[1, 2, 0], [2, 2, 1], [0, 1, 1], [1, 1, 2], [1, 2, 1]])
    length, frames = np.array([2, 2, 0, 3, 3]), np.array([4, 3, 2, 4, 2])
    mask = jnp.arange(4) < frames[:, None]
    nats = ctc_nats(jnp.asarray(logits), mask, target, jnp.asarray(length))
    log_probs = np.asarray(jax.nn.log_softmax(logits))
    for i in range(4):
        total, labels = 0.0, list(target[i, : length[i]])
        for path in itertools.product(range(3), repeat=int(frames[i])):
            if [k for k, _ in itertools.groupby(path) if k] == labels:
                total += np.exp(log_probs[i, np.arange(frames[i]), path].sum())
        np.testing.assert_allclose(nats[i], -np.log(total), rtol=1e-5)
    # Three labels have no alignment with two vectors.
    assert nats[4] == 0


def test_ctc_is_given_fraction_of_loss_with_finite_gradients():
    target = jnp.array(
        [[1, 2, 0], [1, 1, 1], [0, 0, 0], [2, 0, 0], [2, 0, 0], [1, 2, 0]]
    )
    source, keys = rows(random_source(CTC), slice(6)), KEYS[:6]
    models = [
        dataclasses.replace(CTC, source_dropout=0.0, ctc=fraction)
        for fraction in (0.3, 0.9)
    ]

    def mean(variables):
        output, other = (
            model.loss(variables, keys, source, target, True) for model in models
        )
        return output.loss.mean(), (output, other)

    grad = jax.jit(jax.grad(mean, has_aux=True))
    grads, (output, other) = grad(random_variables(CTC))
    assert np.all(np.isfinite([np.abs(x).max() for x in jax.tree.leaves(grads)]))
    assert np.abs(grads["params"]["ctc_head"]["kernel"]).max() > 0
    ctc_loss = output.metrics["ctc_loss"]
    # The second has one vector for three equal tokens.
    assert ctc_loss[1] == 0 and np.all(np.delete(ctc_loss, [1, 3]) > 0)
    nats = (output.loss - 0.3 * ctc_loss) / 0.7
    np.testing.assert_allclose(other.loss, 0.1 * nats + 0.9 * ctc_loss, rtol=1e-4)
