"""Sampling that weighs the constraints of a target."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.autoregressive.ancestral import ancestral_sampling
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.sampling.logits import sample_token
from regen_jax.spaces import Category, Tokens
from tests.generators.autoregressive.compiled import log_prob, random_variables, sample

VOCAB = 3
WEIGHT = 1.5


@dataclasses.dataclass(frozen=True)
class NoRepeats:
    """A violation for each time that an id occurs in two positions before, or above."""

    context = 2

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        ids = jnp.concatenate([before[:, :, -1], above], axis=1)
        return (ids[:, :, None] == jnp.arange(VOCAB)).sum(axis=1).astype(jnp.float32)


STACKS = Autoregressive(
    Category(2),
    Tokens(2, VOCAB, depth=2, constraints=NoRepeats()),
    width=8,
    num_layers=1,
    num_heads=2,
    constraint_weight=WEIGHT,
)
SEQUENCES = dataclasses.replace(
    STACKS, target_space=Tokens(4, VOCAB, constraints=NoRepeats())
)
NUMBER = 20_000
KEYS = jax.random.split(jax.random.key(1), NUMBER)


def sample_many(model) -> np.ndarray:
    source = jnp.ones(NUMBER, jnp.int32)
    return np.asarray(sample(model, random_variables(model), KEYS, source))


def frequencies(samples: np.ndarray) -> np.ndarray:
    """Fractions [VOCAB] * L of the samples i32[N, L] that are each sequence."""
    counts = np.zeros([VOCAB] * samples.shape[1])
    np.add.at(counts, tuple(samples.T), 1)
    return counts / len(samples)


def assert_sampled_from(p: np.ndarray, samples: np.ndarray):
    """Checks that each sequence is as frequent as its probability says.

    That is within five standard deviations of a binomial fraction, and two samples.
    """
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    bound = 5 * np.sqrt(p * (1 - p) / len(samples)) + 2 / len(samples)
    np.testing.assert_array_less(np.abs(frequencies(samples) - p), bound)


def expected(model, order: list[tuple[int, ...]]) -> np.ndarray:
    """Probabilities of all targets, [VOCAB] * 4, whose ids are sampled in that order.

    Each is sampled given those of the steps before: with its probability under the model
    alone, from sums over the others, times exp(-WEIGHT · violations).
    """
    targets = np.array(list(itertools.product(range(VOCAB), repeat=4)), np.int32)
    targets = targets.reshape(-1, *model.target_space.shape)
    source = jnp.ones(len(targets), jnp.int32)
    unconstrained = np.exp(log_prob(model, random_variables(model), source, targets))
    joint, result = unconstrained.reshape([VOCAB] * 4), np.ones([VOCAB] * 4)
    done: tuple[int, ...] = ()
    for step in order:
        for axis in step:
            rest = tuple(set(range(4)) - {axis, *done})
            p = joint.sum(axis=rest, keepdims=True)
            weighted = p * np.exp(-WEIGHT * violations(model, axis))
            result *= weighted / weighted.sum(axis=axis, keepdims=True)
        done += step
    return result


def violations(model, axis: int) -> np.ndarray:
    """Violations by the id on that axis, [VOCAB] * 4, in NumPy."""
    ids = np.indices([VOCAB] * 4)
    depth = model.target_space.depth
    count = np.zeros(ids.shape[1:])
    for back in (1, 2):
        earlier = axis - back * depth
        count += ids[axis] == (ids[earlier] if earlier >= 0 else 0)
    for above in range(axis - axis % depth, axis):
        count += ids[axis] == ids[above]
    return count


@pytest.mark.parametrize(
    "model, order",
    [(STACKS, [(0,), (1, 2), (3,)]), (SEQUENCES, [(0,), (1,), (2,), (3,)])],
    ids=["stacks", "sequences"],
)
def test_samples_follow_model_times_constraints(model, order):
    samples = sample_many(model).reshape(NUMBER, 4)
    assert_sampled_from(expected(model, order), samples)


LENGTH = 3
TABLE = np.random.default_rng(2).normal(0, 1.5, (VOCAB, VOCAB)).astype(np.float32)
"""Logits of a token by the one before."""


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def sample_chain(temperature: float, top_k: int, top_p: float) -> jax.Array:
    """Samples [NUMBER, LENGTH] of the chain of TABLE, whose first token follows 0."""
    space = Tokens(LENGTH, VOCAB, constraints=NoRepeats())

    def step(tokens, index, caches):
        return jnp.asarray(TABLE)[tokens], caches

    def sample_fn(keys, logits, penalties):
        return sample_token(keys, logits, temperature, top_k, top_p, penalties)

    first = jnp.broadcast_to(TABLE[0], (NUMBER, VOCAB))
    return ancestral_sampling(step, first, (), KEYS, space, sample_fn, WEIGHT)


def chain_probabilities(temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Probabilities of all sequences, [VOCAB] * LENGTH, in float64."""
    result = np.zeros([VOCAB] * LENGTH)
    for sequence in itertools.product(range(VOCAB), repeat=LENGTH):
        probability, before = 1.0, (0, 0)
        for token in sequence:
            counts = np.array([before[-2:].count(v) for v in range(VOCAB)])
            row = np.float64(TABLE[before[-1]])
            # A violation costs the same whatever the temperature.
            p = np.exp(row / temperature - WEIGHT * counts)
            p /= p.sum()
            order = np.argsort(-p)[: top_k or VOCAB]
            p[np.setdiff1d(range(VOCAB), order)] = 0
            p /= p.sum()
            nucleus = order[: 1 + np.searchsorted(np.cumsum(p[order]), top_p)]
            p[np.setdiff1d(range(VOCAB), nucleus)] = 0
            probability *= p[token] / p.sum()
            before = (*before, token)
        result[sequence] = probability
    return result


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.5, 0, 1.0), (3.0, 0, 1.0), (0.5, 2, 1.0), (2.0, 0, 0.8)],
)
def test_violation_costs_its_weight_at_any_temperature(temperature, top_k, top_p):
    samples = np.asarray(sample_chain(temperature, top_k, top_p))
    p = chain_probabilities(temperature, top_k, top_p)
    assert_sampled_from(p, samples)


def test_greedy_sampling_weighs_violations_against_nats():
    logits = jnp.array([[1.0, 0.4, -3.0]])
    for penalty, token in ((0.5, 0), (0.7, 1)):
        penalties = jnp.array([[penalty, 0, 0]])
        tokens = sample_token(KEYS[:1], logits, 0.0, penalties=penalties)
        assert tokens.tolist() == [token]


def test_large_weight_excludes_violations():
    samples = sample_many(dataclasses.replace(STACKS, constraint_weight=1e6))
    assert (samples[:, :, 0] != samples[:, :, 1]).all()
    assert (samples[:, 0] != samples[:, 1]).all()
    assert (samples[:, 0, 0] != 0).all()  # 0 stands before the first position.


@pytest.mark.parametrize(
    "changed, words",
    [
        (
            {"target_space": Tokens(4, VOCAB)},
            "constraint_weight 1.5 needs a target with constraints",
        ),
        (
            {"target_space": SEQUENCES.target_space, "beam_size": 2},
            "constraint_weight 1.5 applies to sampling, which beam_size 2 is not",
        ),
        ({"constraint_weight": -1.0}, "constraint_weight must be 0 or more, not -1.0"),
    ],
)
def test_constraint_weight_that_cannot_apply_raises(changed, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(STACKS, **changed)
