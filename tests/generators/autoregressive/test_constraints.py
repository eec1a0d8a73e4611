"""Sampling under the constraints of a target."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.autoregressive.ancestral import ancestral_sampling
from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.sampling.logits import draw
from regen_jax.spaces import Category, Tokens

VOCAB = 3
WEIGHT = 1.5


@dataclasses.dataclass(frozen=True)
class Repeats:
    """A fault for each time that an id was there, of two positions, and is above."""

    context = 2

    def violations(self, before: jax.Array, above: jax.Array) -> jax.Array:
        ids = jnp.arange(VOCAB)
        there = jnp.concatenate([before[:, :, -1], above], axis=1)
        return (there[:, :, None] == ids).sum(axis=1).astype(jnp.float32)


MODEL = Autoregressive(
    Category(2),
    Tokens(2, VOCAB, depth=2, constraints=Repeats()),
    width=8,
    num_layers=1,
    num_heads=2,
    constraint_weight=WEIGHT,
)
FLAT = dataclasses.replace(MODEL, target_space=Tokens(4, VOCAB, constraints=Repeats()))
NUMBER = 20_000


@functools.cache
def variables(model):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, 0.5, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


def drawn(model) -> np.ndarray:
    keys = jax.random.split(jax.random.key(1), NUMBER)
    sample = jax.jit(model.sample)
    return np.asarray(sample(variables(model), keys, jnp.ones(NUMBER, jnp.int32)))


def expected(model, order: list[tuple[int, ...]]) -> np.ndarray:
    """Probabilities of all targets, [V] * 4, whose ids are drawn in that order.

    Each is drawn given those of the steps before: with its probability under the model
    without rules, found by adding up, times exp(-WEIGHT · faults).
    """
    every = np.array(list(itertools.product(range(VOCAB), repeat=4)), np.int32)
    b = every.reshape(-1, *model.target_space.shape)
    log_prob = jax.jit(model.log_prob)
    plain = np.exp(log_prob(variables(model), jnp.ones(len(b), jnp.int32), b))
    joint, result = plain.reshape([VOCAB] * 4), np.ones([VOCAB] * 4)
    done: tuple[int, ...] = ()
    for step in order:
        for axis in step:
            rest = tuple(set(range(4)) - {axis, *done})
            p = joint.sum(axis=rest, keepdims=True)
            penalized = p * np.exp(-WEIGHT * fault_of(model, axis))
            result *= penalized / penalized.sum(axis=axis, keepdims=True)
        done += step
    return result


def fault_of(model, axis: int) -> np.ndarray:
    """The faults of the id on that axis, [V] * 4, in words of NumPy."""
    ids = np.indices([VOCAB] * 4)
    depth = model.target_space.depth
    count = np.zeros(ids.shape[1:])
    for back in (1, 2):
        there = axis - back * depth
        count += ids[axis] == (ids[there] if there >= 0 else 0)
    for above in range(axis - axis % depth, axis):
        count += ids[axis] == ids[above]
    return count


@pytest.mark.parametrize(
    "model, order",
    [(MODEL, [(0,), (1, 2), (3,)]), (FLAT, [(0,), (1,), (2,), (3,)])],
    ids=["stacks", "tokens"],
)
def test_samples_follow_the_model_times_the_rules(model, order):
    b = drawn(model).reshape(NUMBER, 4)
    found = np.zeros([VOCAB] * 4)
    np.add.at(found, tuple(b.T), 1 / NUMBER)
    p = expected(model, order)
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-5)
    assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / NUMBER) + 1e-4).all()


LENGTH = 3
TABLE = np.random.default_rng(2).normal(0, 1.5, (VOCAB, VOCAB)).astype(np.float32)
"""Logits of a token by the one before."""


def toy_draws(temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Samples [NUMBER, LENGTH] of the chain of TABLE, whose first token follows 0."""
    target = Tokens(LENGTH, VOCAB, constraints=Repeats())

    def step(tokens, index, caches):
        return jnp.asarray(TABLE)[tokens], caches

    def choose(keys, logits, penalties):
        return draw(keys, logits, temperature, top_k, top_p, penalties)

    first = jnp.broadcast_to(TABLE[0], (NUMBER, VOCAB))
    keys = jax.random.split(jax.random.key(3), NUMBER)
    return np.asarray(ancestral_sampling(step, first, (), keys, target, choose, WEIGHT))


def toy_probabilities(temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Probabilities of all sequences, [VOCAB] * LENGTH, in float64."""
    result = np.zeros([VOCAB] * LENGTH)
    for sequence in itertools.product(range(VOCAB), repeat=LENGTH):
        probability, before = 1.0, (0, 0)
        for token in sequence:
            faults = np.array([before[-2:].count(v) for v in range(VOCAB)])
            row = np.float64(TABLE[before[-1]])
            # What a fault costs is the same whatever the temperature.
            p = np.exp(row / temperature - WEIGHT * faults)
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
def test_a_fault_costs_its_weight_at_any_temperature(temperature, top_k, top_p):
    found = np.zeros([VOCAB] * LENGTH)
    options = temperature, top_k, top_p
    np.add.at(found, tuple(toy_draws(*options).T), 1 / NUMBER)
    p = toy_probabilities(*options)
    np.testing.assert_allclose(p.sum(), 1)
    assert (np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / NUMBER) + 1e-9).all()


def test_greedy_search_weighs_faults_against_nats():
    logits = jnp.array([[1.0, 0.4, -3.0]])
    keys = jax.random.split(jax.random.key(0), 1)
    for penalty, token in ((0.5, 0), (0.7, 1)):
        found = draw(keys, logits, 0.0, penalties_BxV=jnp.array([[penalty, 0, 0]]))
        assert found.tolist() == [token]


def test_a_heavy_rule_is_a_law():
    model = dataclasses.replace(MODEL, constraint_weight=1e6)
    b = drawn(model)
    assert (b[:, :, 0] != b[:, :, 1]).all() and (b[:, 0] != b[:, 1]).all()
    assert (b[:, 0, 0] != 0).all()  # 0 stands in front of the first


@pytest.mark.parametrize(
    "changed, words",
    [
        (
            {"target_space": Tokens(4, VOCAB)},
            "constraint_weight 1.5 needs a target with constraints",
        ),
        (
            {"target_space": Tokens(4, VOCAB, constraints=Repeats()), "beam_size": 2},
            "constraint_weight 1.5 applies to sampling, which beam_size 2 is not",
        ),
        ({"constraint_weight": -1.0}, "constraint_weight must be 0 or more, not -1.0"),
    ],
)
def test_constraints_that_cannot_be_applied_raise_value_error(changed, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(MODEL, **changed)
