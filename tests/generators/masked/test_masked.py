"""Masked models: their loss, their conditionals, and their samples by enumeration."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from regen_jax.config.registry import instantiate
from regen_jax.errors import UserError
from regen_jax.generators.masked.masked import Masked
from regen_jax.generators.masked.masking import draw_masks
from regen_jax.generators.masked.orders.confidence import Confidence
from regen_jax.generators.masked.orders.halton import Halton
from regen_jax.generators.masked.schedules.cosine import Cosine
from regen_jax.generators.masked.schedules.power import Power
from regen_jax.networks.embeddings import source_dropouts
from regen_jax.spaces import Category, Tokens
from tests.generators.autoregressive.compiled import random_variables
from tests.generators.masked.enumeration import Enumeration, network_logits, targets_of

SIZE = {"width": 8, "num_layers": 1, "num_heads": 2, "mlp_ratio": 2.0}
CLASS, FLAT = Category(2), Tokens(3, 3)
STACK, WORD = Tokens(2, 2, depth=2), Tokens(3, 3, padded=True)
PLAIN = Masked(CLASS, FLAT, **SIZE, num_steps=3, order=Confidence(noise=0.0))
GUIDED = dataclasses.replace(
    PLAIN,
    schedule=Power(),
    order=Halton(),
    num_steps=2,
    guidance=3.0,
    ramp_guidance=True,
    temperature=0.8,
    top_k=2,
)
STACKS = dataclasses.replace(PLAIN, target_space=STACK, conditioning="cross")
WORDS = dataclasses.replace(PLAIN, target_space=WORD, order=Halton())
BATCH = 24
KEYS = jax.random.split(jax.random.key(1), BATCH)
SOURCE = jnp.arange(BATCH) % 2
RNG = np.random.default_rng(0)

sample = jax.jit(Masked.sample, static_argnums=0)
loss = jax.jit(Masked.loss, static_argnums=(0, 5))


def random_targets(space: Tokens) -> jax.Array:
    targets = targets_of(space)
    rows = targets[RNG.integers(0, len(targets), BATCH)]
    return jnp.asarray(rows.reshape(BATCH, *space.shape), jnp.int32)


@pytest.mark.parametrize(
    "model, num_masked",
    [
        (PLAIN, [2, 1, 0]),
        (GUIDED, [2, 0]),
        (dataclasses.replace(STACKS, num_steps=4), [3, 2, 1, 0]),
        (WORDS, [2, 1, 0]),
    ],
    ids=["confidence", "guided-halton", "stacks", "padded"],
)
def test_samples_follow_enumerated_distribution(model, num_masked):
    number, variables, source = 8192, random_variables(model), jnp.int32(1)
    keys = jax.random.split(jax.random.key(3), number)
    samples = sample(model, variables, keys, jnp.broadcast_to(source, number))
    assert samples.shape == (number, *model.target_space.shape)
    assert samples.dtype == np.int32
    states, counts = np.unique(samples.reshape(number, -1), axis=0, return_counts=True)
    frequency = dict(zip(map(tuple, states.tolist()), counts / number, strict=True))
    p = Enumeration(model, variables, source).distribution(num_masked)
    assert abs(sum(p.values()) - 1) < 1e-6 and len(p) > 6
    assert set(frequency) <= set(p)
    for state, expected in p.items():
        # Five standard deviations of a binomial fraction, and two samples.
        bound = 5 * np.sqrt(expected / number) + 2 / number
        assert abs(frequency.get(state, 0) - expected) < bound, state


def test_one_masked_token_has_the_conditional_of_a_known_joint():
    space, copies, num_steps = Tokens(2, 3), 8, 400
    model = dataclasses.replace(
        PLAIN,
        target_space=space,
        width=32,
        label_smoothing=0.0,
        source_dropout=0.0,
        schedule=Power(0.2),
    )
    joint = np.random.default_rng(7).gamma(1.0, size=(2, 3, 3)) + 0.02
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    source, *target = np.indices(joint.shape).reshape(3, -1)
    source, target = jnp.asarray(source), jnp.stack(target, axis=1)
    sources, targets = jnp.tile(source, copies), jnp.tile(target, (copies, 1))
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, num_steps))

    def step(state: tuple, key: jax.Array) -> tuple:
        variables, moments = state

        def expected_loss(variables):
            keys = jax.random.split(key, len(targets))
            output = model.loss(variables, keys, sources, targets, True)
            weights = output.weights["loss"] * jnp.tile(jnp.ravel(joint), copies)
            return (weights * output.loss).sum() / weights.sum()

        updates, moments = optimizer.update(jax.grad(expected_loss)(variables), moments)
        return (optax.apply_updates(variables, updates), moments), None

    @jax.jit
    def train(variables):
        keys = jax.random.split(jax.random.key(0), num_steps)
        return jax.lax.scan(step, (variables, optimizer.init(variables)), keys)[0][0]

    variables = train(random_variables(model, 0.3))
    drop = jnp.zeros(len(target), bool)
    for position in (0, 1):
        tokens = target.at[:, position].set(space.vocab)
        logits = network_logits(model, variables, source, tokens, drop)[:, position]
        conditional = joint / joint.sum(axis=1 + position, keepdims=True)
        conditional = np.moveaxis(conditional, 1 + position, -1)
        expected = conditional[source, target[:, 1 - position]]
        assert np.ptp(expected, axis=0).min() > 0.25
        np.testing.assert_allclose(jax.nn.softmax(logits), expected, atol=0.06)


@pytest.mark.parametrize("model", [PLAIN, STACKS, WORDS], ids=["flat", "stack", "word"])
def test_loss_is_cross_entropy_of_masked_tokens(model):
    space, variables = model.target_space, random_variables(model)
    target = random_targets(space)
    output = loss(model, variables, KEYS, SOURCE, target, False)
    masked = np.asarray(draw_masks(model.schedule, model.target_space, KEYS)).reshape(
        BATCH, -1
    )
    assert masked.any(axis=1).all() and not masked.all()
    enumerations = [Enumeration(model, variables, jnp.int32(c)) for c in (0, 1)]
    for row, mask in enumerate(masked):
        tokens = np.asarray(target[row]).ravel()
        state = tuple(np.where(mask, space.vocab, tokens).tolist())
        p = enumerations[row % 2].probabilities(state, 1.0)[mask]
        nats = -np.log(p[np.arange(mask.sum()), tokens[mask]]).mean()
        np.testing.assert_allclose(output.loss[row], nats, rtol=2e-4, atol=1e-5)
        accuracy = np.mean(p.argmax(axis=1) == tokens[mask])
        np.testing.assert_allclose(output.metrics["token_accuracy"][row], accuracy)
    np.testing.assert_array_equal(output.weights["loss"], masked.sum(axis=1))


def test_training_smooths_labels_and_drops_sources():
    model = dataclasses.replace(PLAIN, label_smoothing=0.2, source_dropout=0.5)
    variables, target = random_variables(model), random_targets(FLAT)
    trained = loss(model, variables, KEYS, SOURCE, target, True).loss
    masked, drop = (
        draw_masks(model.schedule, model.target_space, KEYS),
        source_dropouts(KEYS, 0.5, train=True),
    )
    assert 0 < drop.sum() < BATCH
    tokens = jnp.where(masked, 3, target)
    logits = network_logits(model, variables, SOURCE, tokens, drop)
    labels = 0.8 * jax.nn.one_hot(target, 3) + 0.2 / 3
    nats = optax.softmax_cross_entropy(logits, labels)
    expected = (nats * masked).sum(axis=1) / masked.sum(axis=1)
    np.testing.assert_allclose(trained, expected, rtol=1e-4)


def test_number_of_masked_tokens_follows_schedule():
    keys = jax.random.split(jax.random.key(5), 20_000)
    masked = draw_masks(Cosine(), Tokens(8, 3), keys)
    counts = np.bincount(masked.sum(axis=1), minlength=9) / 20_000
    # ⌈8 cos(π/2 · u)⌉ is at most k where u is at least 2/π arccos(k/8).
    expected = np.diff(1 - 2 / np.pi * np.arccos(np.arange(9) / 8))
    np.testing.assert_array_less(np.abs(counts[1:] - expected), 0.02)
    assert counts[0] == 0
    by_position = np.asarray(masked).mean(axis=0)
    np.testing.assert_allclose(by_position, by_position.mean(), atol=0.02)


@pytest.mark.parametrize("num_steps, calls", [(2, 2), (12, 3)])
def test_samples_take_as_many_calls_as_steps_or_tokens(num_steps, calls):
    model = dataclasses.replace(PLAIN, num_steps=num_steps, guidance=2.0)
    variables, traced = random_variables(model), []

    def count(call, args, kwargs, context):
        traced.extend([1] * (context.method_name == "predict"))
        return call(*args, **kwargs)

    with nn.intercept_methods(count):
        program = jax.make_jaxpr(model.sample)(variables, KEYS, SOURCE)
    scans = [e for e in program.eqns if e.primitive.name == "scan"]
    assert len(traced) == 1 and [e.params["length"] for e in scans] == [calls]


def test_samples_of_parallel_reveals_are_values_of_the_space():
    space = Tokens(5, 3, depth=2, padded=True)
    model = dataclasses.replace(
        WORDS, target_space=space, num_steps=2, order=Confidence(50.0)
    )
    number = 2000
    keys = jax.random.split(jax.random.key(2), number)
    samples = sample(model, random_variables(model), keys, jnp.zeros(number, jnp.int32))
    inside = np.asarray(samples) != 0
    np.testing.assert_array_equal(inside[..., 0], inside[..., 1])
    assert np.all(np.diff(inside[..., 0].astype(int), axis=1) <= 0)
    assert len(np.unique(inside[..., 0].sum(axis=1))) > 3


def test_samples_depend_on_their_keys_alone():
    model = dataclasses.replace(PLAIN, order=Confidence(4.5), guidance=2.0)
    variables = random_variables(model)
    samples = sample(model, variables, KEYS, SOURCE)
    reverse = sample(model, variables, KEYS[::-1], SOURCE[::-1])
    np.testing.assert_array_equal(reverse[::-1], samples)
    others = sample(model, variables, KEYS[::-1], SOURCE)
    assert not np.array_equal(others, samples)


def test_samples_on_eight_devices_equal_those_on_one():
    model = dataclasses.replace(STACKS, order=Confidence(4.5), guidance=2.0)
    variables = random_variables(model)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = functools.partial(
        jax.device_put, device=NamedSharding(mesh, PartitionSpec("data"))
    )
    samples = sample(model, variables, split(KEYS), split(SOURCE))
    assert len(samples.sharding.device_set) == 8
    expected = sample(model, variables, KEYS, SOURCE)
    np.testing.assert_array_equal(samples, expected)


def test_options_of_sampling_leave_network():
    nucleus = dataclasses.replace(GUIDED, top_p=0.5)
    for name in Masked.sampling:
        model = dataclasses.replace(PLAIN, **{name: getattr(nucleus, name)})
        assert model != PLAIN and model.network == PLAIN.network


@pytest.mark.parametrize(
    "options, words",
    [
        ({"constraint_weight": 1.0}, "config.prior.constraint_weight is not an option"),
        ({"num_steps": 0}, "config.prior.num_steps must be at least 1, not 0"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), not 1.0"),
        ({"order": {"name": "random"}}, "no order is called 'random'"),
        ({"guidance": 2.0, "source_dropout": 0.0}, "guidance 2.0 needs source_dropout"),
    ],
)
def test_unfit_option_raises_user_error_of_one_line(options, words):
    with pytest.raises(UserError, match=words) as error:
        instantiate(
            Masked, options, "config.prior", source_space=CLASS, target_space=FLAT
        )
    assert "\n" not in str(error.value)
