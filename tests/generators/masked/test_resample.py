"""Masked models that are given some tokens of a target, or wrong ones in training."""

import collections
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.generators.masked.masked import Masked
from regen_jax.generators.masked.masking import draw_masks
from regen_jax.generators.masked.orders.confidence import Confidence
from regen_jax.networks.perturbation import kept_positions, replace_tokens
from regen_jax.spaces import Category, Tokens
from tests.generators.autoregressive.compiled import random_variables
from tests.generators.masked.enumeration import Enumeration, network_logits

SIZE = {"width": 8, "num_layers": 1, "num_heads": 2, "mlp_ratio": 2.0, "num_steps": 3}
MODEL = Masked(
    Category(2),
    Tokens(3, 3),
    **SIZE,
    order=Confidence(noise=0.0),
    source_dropout=0.0,
    label_smoothing=0.0,
)
resample = jax.jit(Masked.resample, static_argnums=0)


def test_resampled_tokens_follow_enumerated_distribution():
    space, number, target = MODEL.target_space, 8192, (0, 2, 1)
    keys = jax.random.split(jax.random.key(3), number)
    source, targets = (
        jnp.ones(number, jnp.int32),
        jnp.tile(jnp.array(target), (number, 1)),
    )
    variables = random_variables(MODEL)
    drawn = np.asarray(resample(MODEL, variables, keys, source, targets, 0.6))
    kept = np.asarray(kept_positions(space, keys, 1 - 0.6))
    np.testing.assert_array_equal(drawn[kept], np.asarray(targets)[kept])

    enumeration = Enumeration(MODEL, variables, jnp.int32(1))
    starts = collections.Counter(
        map(tuple, np.where(kept, target, space.vocab).tolist())
    )
    assert len(starts) == 8
    expected: collections.Counter = collections.Counter()
    for start, count in starts.items():
        # Of what is masked, each call leaves the fraction that it leaves of all three.
        num_masked = [left * start.count(space.vocab) // 3 for left in (2, 1, 0)]
        for state, p in enumeration.distribution(num_masked, start).items():
            expected[state] += count * p
    counts = collections.Counter(map(tuple, drawn.tolist()))
    assert set(counts) <= set(expected)
    for state, mean in expected.items():
        assert abs(counts[state] - mean) < 5 * np.sqrt(mean) + 2, state


def test_fraction_decides_how_much_of_padded_stacks_is_sampled():
    model = dataclasses.replace(MODEL, target_space=Tokens(3, 3, 2, padded=True))
    variables, keys = random_variables(model), jax.random.split(jax.random.key(2), 16)
    source, rng = jnp.arange(16) % 2, np.random.default_rng(0)
    target = rng.integers(1, 3, (16, 3, 2))
    target[np.arange(3) >= np.arange(16)[:, None] % 4] = 0
    target = jnp.asarray(target)
    drawn = [
        np.asarray(resample(model, variables, keys, source, target, fraction))
        for fraction in (1.0, 0.5, 1e-9)
    ]
    sampled = jax.jit(Masked.sample, static_argnums=0)(model, variables, keys, source)
    np.testing.assert_array_equal(drawn[0], sampled)
    np.testing.assert_array_equal(drawn[2], target)
    kept = np.asarray(kept_positions(model.target_space, keys, 0.5))
    np.testing.assert_array_equal(drawn[1][kept], np.asarray(target)[kept])
    padding = drawn[1] == 0
    assert (padding[..., 0] == padding[..., 1]).all()
    assert (np.diff(padding[..., 0].astype(int)) >= 0).all()


def test_input_noise_changes_what_is_read_in_training_and_not_what_is_predicted():
    noisy_model = dataclasses.replace(MODEL, input_noise=0.5)
    variables, keys = random_variables(MODEL), jax.random.split(jax.random.key(5), 16)
    source, target = jnp.arange(16) % 2, jnp.arange(48).reshape(16, 3) % 3
    space, loss = MODEL.target_space, jax.jit(Masked.loss, static_argnums=(0, 5))
    masked = draw_masks(MODEL.schedule, space, keys)
    read = jnp.where(masked, space.vocab, replace_tokens(space, keys, target, 0.5))
    assert ((read != target) & ~masked).any()
    logits = network_logits(MODEL, variables, source, read, jnp.zeros(16, bool))
    nats = -jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], axis=-1)
    expected = (nats[..., 0] * masked).sum(axis=1) / masked.sum(axis=1)
    trained = loss(noisy_model, variables, keys, source, target, True).loss
    np.testing.assert_allclose(trained, expected, rtol=1e-4)
    # Traced alone: in evaluation both are the same program.
    evaluated, plain = (
        jax.make_jaxpr(model.loss, static_argnums=4)(
            variables, keys, source, target, False
        )
        for model in (noisy_model, MODEL)
    )
    assert str(evaluated) == str(plain)
