import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.autoregressive.autoregressive import Autoregressive
from regen_jax.generators.sampling.logits import draw, guide
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.spaces import Array, Category, Tokens

CLASS, WORDS = Category(3), Tokens(2, 5)
TARGET = Tokens(4, 3)
PREFIX = Autoregressive(
    WORDS, TARGET, width=8, num_layers=1, num_heads=2, mlp_ratio=2.0
)
CROSS = dataclasses.replace(PREFIX, source_space=CLASS, conditioning="cross")
DROPPING = dataclasses.replace(CROSS, source_dropout=0.0, dropout=0.3)
NUMBER = 32
SOURCES = {
    WORDS: jnp.tile(jnp.array([[0, 1], [2, 3], [4, 4], [3, 0]]), (NUMBER // 4, 1)),
    CLASS: jnp.arange(NUMBER) % 3,
}
KEYS = jax.random.split(jax.random.key(1), NUMBER)
B = jnp.asarray(np.random.default_rng(1).integers(0, 3, (NUMBER, 4)))

loss = jax.jit(Autoregressive.loss, static_argnums=(0, 5))
log_prob = jax.jit(Autoregressive.log_prob, static_argnums=0)
sample = jax.jit(Autoregressive.sample, static_argnums=0)


@functools.lru_cache
def drawn(network) -> dict:
    """Variables drawn from NumPy, far from a uniform prediction."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(
        network.init,
        jax.random.key(0),
        SOURCES[network.source_space][:1],
        B[:1],
        jnp.zeros(1, bool),
    )
    return jax.tree.map(
        lambda x: jnp.asarray(rng.normal(0, 0.4, x.shape), jnp.float32), shapes
    )


@functools.partial(jax.jit, static_argnums=0)
def logits_of(network, variables, a, b, drop) -> jax.Array:
    return network.apply(variables, a, b, drop).logits


def uncached(model: Autoregressive, variables, keys, a, choose=draw) -> np.ndarray:
    """Samples as `sample` should, by whole passes over the tokens so far."""
    choose = jax.jit(choose, static_argnums=(2, 3, 4))
    b = jnp.zeros((len(a), model.target_space.length), jnp.int32)
    for i in range(model.target_space.length):
        given, without = (
            logits_of(model.network, variables, a, b, jnp.full(len(a), dropped))[:, i]
            for dropped in (False, True)
        )
        logits = guide(given, without, model.guidance)
        now = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
        options = (model.temperature, model.top_k, model.top_p)
        b = b.at[:, i].set(choose(now, logits, *options))
    return np.asarray(b)


@pytest.mark.parametrize(
    "model",
    [
        dataclasses.replace(PREFIX, guidance=2.0, temperature=0.8, top_k=2),
        dataclasses.replace(CROSS, guidance=0.5, top_p=0.9),
        CROSS,
    ],
    ids=["prefix-guided-top_k", "cross-guided-top_p", "cross"],
)
def test_samples_are_those_of_whole_passes(model):
    variables, a = drawn(model.network), SOURCES[model.source_space]
    b = sample(model, variables, KEYS, a)
    assert b.shape == (NUMBER, 4) and b.dtype == np.int32
    np.testing.assert_array_equal(b, uncached(model, variables, KEYS, a))
    assert len(np.unique(b, axis=0)) > 5


def test_sampling_is_one_program_and_examples_are_independent():
    model = dataclasses.replace(PREFIX, guidance=2.0)
    variables, a = drawn(model.network), SOURCES[WORDS]
    traces = []

    @jax.jit
    def counted(keys, a):
        traces.append(1)
        return model.sample(variables, keys, a)

    whole = counted(KEYS, a)
    again = counted(KEYS[::-1], a[::-1])
    other = counted(jax.random.split(jax.random.key(9), NUMBER), a)
    assert len(traces) == 1
    np.testing.assert_array_equal(again, whole[::-1])
    assert not np.array_equal(other, whole)
    np.testing.assert_array_equal(counted(KEYS[2:3], a[2:3]), whole[2:3])


def test_temperature_0_is_greedy():
    model = dataclasses.replace(CROSS, temperature=0.0)
    variables, a = drawn(model.network), SOURCES[CLASS]
    b = sample(model, variables, KEYS, a)
    likeliest = uncached(
        model, variables, KEYS, a, lambda keys, logits, *_: logits.argmax(axis=-1)
    )
    np.testing.assert_array_equal(b, likeliest)
    np.testing.assert_array_equal(sample(model, variables, KEYS[::-1], a), b)


def test_guidance_1_is_none_and_0_ignores_the_source():
    variables, a = drawn(CROSS.network), SOURCES[CLASS]
    plain = sample(CROSS, variables, KEYS, a)
    # Any guidance but 1 takes the path of two predictions.
    nearly = dataclasses.replace(CROSS, guidance=1.0 + 1e-6)
    np.testing.assert_array_equal(sample(nearly, variables, KEYS, a), plain)
    without = dataclasses.replace(CROSS, guidance=0.0)
    same = jnp.broadcast_to(KEYS[0], (NUMBER,))
    b = sample(without, variables, same, a)
    np.testing.assert_array_equal(b, np.broadcast_to(b[0], b.shape))


@pytest.mark.parametrize("model", [PREFIX, CROSS], ids=["prefix", "cross"])
def test_probabilities_of_all_sequences_sum_to_one(model):
    variables = drawn(model.network)
    every = jnp.array(list(itertools.product(range(3), repeat=4)))
    for example in SOURCES[model.source_space][:2]:
        a = jnp.broadcast_to(example, (81, *example.shape))
        found = log_prob(model, variables, a, every)
        assert found.shape == (81,) and found.dtype == np.float32
        np.testing.assert_allclose(np.exp(found).sum(), 1, rtol=1e-5)
        drop = jnp.zeros(81, bool)
        logits = np.float64(logits_of(model.network, variables, a, every, drop))
        steps = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        chosen = np.take_along_axis(steps, np.asarray(every)[..., None], -1)
        np.testing.assert_allclose(found, chosen[..., 0].sum(axis=1), rtol=1e-5)
    assert np.ptp(found) > 1


def test_samples_are_as_frequent_as_log_prob_says():
    number = 8192
    keys = jax.random.split(jax.random.key(3), number)
    variables = drawn(PREFIX.network)
    a = jnp.broadcast_to(SOURCES[WORDS][0], (number, 2))
    b = sample(PREFIX, variables, keys, a)
    codes = np.asarray(b) @ [27, 9, 3, 1]
    frequency = np.bincount(codes, minlength=81) / number
    every = jnp.array(list(itertools.product(range(3), repeat=4)))
    p = np.exp(log_prob(PREFIX, variables, a[:81], every))
    # Five standard deviations of a binomial share, for each of 81 sequences.
    np.testing.assert_array_less(
        np.abs(frequency - p), 5 * np.sqrt(p / number) + 1 / number
    )


def test_samples_of_an_overfitted_model_are_its_data():
    data, a = jnp.array([[0, 2, 1, 2], [2, 2, 0, 1], [1, 0, 0, 2]]), jnp.arange(3)
    model = dataclasses.replace(PREFIX, source_space=CLASS)
    optimizer = optax.adam(2e-2)

    @jax.jit
    def step(variables, moments, keys):
        def mean(variables):
            return model.loss(variables, keys, a, data, True).loss.mean()

        updates, moments = optimizer.update(jax.grad(mean)(variables), moments)
        return optax.apply_updates(variables, updates), moments

    variables = drawn(model.network)
    moments = jax.jit(optimizer.init)(variables)
    for keys in jax.random.split(jax.random.key(0), (300, 3)):
        variables, moments = step(variables, moments, keys)

    classes = SOURCES[CLASS]
    np.testing.assert_array_equal(
        sample(model, variables, KEYS, classes), data[classes]
    )
    likelihood = np.exp(log_prob(model, variables, classes, data[classes]))
    assert likelihood.min() > 0.99


def loss_and_grads(model: Autoregressive, keys: jax.Array):
    def mean(variables):
        return model.loss(variables, keys, SOURCES[CLASS], B, True).loss.mean()

    return jax.jit(jax.value_and_grad(mean))(drawn(DROPPING.network))


@pytest.fixture(scope="module")
def reference():
    return loss_and_grads(DROPPING, KEYS)


def test_remat_changes_nothing(reference):
    found = loss_and_grads(dataclasses.replace(DROPPING, remat="full"), KEYS)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6),
        found,
        reference,
    )


def test_bfloat16_is_near_float32(reference):
    half = dataclasses.replace(DROPPING, dtype="bfloat16")
    value, grads = loss_and_grads(half, KEYS)
    assert value.dtype == np.float32
    assert value != reference[0]
    np.testing.assert_allclose(value, reference[0], rtol=0.02)
    flat, exact = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
        for tree in (grads, reference[1])
    )
    assert np.linalg.norm(flat - exact) < 0.05 * np.linalg.norm(exact)
    assert {x.dtype for x in jax.tree.leaves(grads)} == {np.dtype(np.float32)}


def test_dropout_is_of_training_and_of_each_example():
    variables, a = drawn(DROPPING.network), SOURCES[CLASS]
    trained = loss(DROPPING, variables, KEYS, a, B, True)
    turned = loss(DROPPING, variables, KEYS[::-1], a[::-1], B[::-1], True)
    np.testing.assert_allclose(turned.loss[::-1], trained.loss, rtol=1e-5)
    others = loss(DROPPING, variables, KEYS[::-1], a, B, True).loss
    assert np.abs(others - trained.loss).max() > 1e-2

    evaluated = loss(DROPPING, variables, KEYS, a, B, False)
    logits = logits_of(DROPPING.network, variables, a, B, jnp.zeros(NUMBER, bool))
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, B).mean(axis=1)
    np.testing.assert_allclose(evaluated.loss, expected, rtol=1e-5)
    hits = np.mean(np.argmax(logits, axis=-1) == B, axis=1)
    np.testing.assert_allclose(evaluated.metrics["token_accuracy"], hits)


def test_training_drops_the_source_at_its_rate():
    keys = jax.random.split(jax.random.key(4), 20_000)
    dropped = source_dropouts(keys, 0.1, train=True)
    assert abs(np.mean(dropped) - 0.1) < 5 * np.sqrt(0.09 / 20_000)
    assert not np.any(source_dropouts(keys, 0.1, train=False))
    assert not np.any(source_dropouts(keys, 0.0, train=True))

    model = dataclasses.replace(CROSS, source_dropout=0.5)
    variables, a = drawn(model.network), SOURCES[CLASS]
    drop = source_dropouts(KEYS, 0.5, train=True)
    assert 0 < np.sum(drop) < NUMBER
    logits = logits_of(model.network, variables, a, B, drop)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, B).mean(axis=1)
    found = loss(model, variables, KEYS, a, B, True).loss
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_one_token_is_a_sequence_too():
    model = dataclasses.replace(
        PREFIX, source_space=Array((2, 3), 0.0, 1.0), target_space=Tokens(1, 3)
    )
    a = jnp.full((NUMBER, 2, 3), 0.3)
    b = jax.eval_shape(lambda: model.sample(model.init(KEYS[0]), KEYS, a))
    assert b.shape == (NUMBER, 1) and b.dtype == np.int32
