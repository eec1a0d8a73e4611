"""Tokens to frames: alignments that are learned, losses by hand, padding that is unseen."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.diffusion.diffusion import Diffusion
from regen_jax.generators.regression import Regression
from regen_jax.networks.duration_encoder import Encoded, plan
from regen_jax.spaces import Array, Padded, Tokens

SOURCE = Tokens(5, 7, padded=True)
TARGET = Array((16, 3), -4, 2, padded=True)
TINY = {"width": 8, "num_layers": 1, "num_heads": 2, "encoder_layers": 1}
MODELS = {
    "regression": Regression(SOURCE, TARGET, patch=2, **TINY),
    "diffusion": Diffusion(
        SOURCE, TARGET, solver="euler", num_steps=2, guidance=2.0, **TINY
    ),
}
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def example_keys(number: int) -> jax.Array:
    return jax.random.split(jax.random.key(0), number)


@functools.cache
def random_variables(model, scale: float = 0.2):
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, scale, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


loss = jax.jit(lambda model, *args: model.loss(*args), static_argnums=(0, 5))
sample = jax.jit(lambda model, *args: model.sample(*args), static_argnums=0)
alignment = jax.jit(lambda model, *args: model.alignment(*args), static_argnums=0)


def pairs(garbage: float = 0.0) -> tuple[np.ndarray, Padded]:
    """Three pairs; what stands beyond each length has the scale of `garbage`."""
    rng = np.random.default_rng(2)
    a = np.array([[3, 1, 0, 0, 0], [1, 2, 3, 4, 5], [6, 0, 0, 0, 0]])
    values = rng.uniform(-4, 2, (3, *TARGET.shape)).astype(np.float32)
    length = np.array([7, 16, 2])
    beyond = np.arange(16) >= length[:, None]
    noise = np.random.default_rng(3).normal(0, 1, values.shape)
    values[beyond] = garbage * noise[beyond]
    return a, Padded(values, length)


def test_parameters_start_at_the_diagonal():
    model = MODELS["regression"]
    a, b = pairs()
    path = alignment(model, jax.jit(model.init)(jax.random.key(0)), a, b)
    np.testing.assert_array_equal(path[1].sum(axis=0), [3, 3, 4, 3, 3])
    np.testing.assert_array_equal(path[0].sum(axis=0), [3, 4, 0, 0, 0])


@each_model
def test_path_and_losses_match_numpy(model):
    variables, (a, b) = random_variables(model), pairs()
    path = np.asarray(alignment(model, variables, a, b))
    inside = np.arange(16) < b.length[:, None]
    np.testing.assert_array_equal(path.sum(axis=2), inside)
    assert (np.diff(path.argmax(axis=2), axis=1) <= 1).all()
    assert (path.sum(axis=1)[a > 0] > 0).all() and (path.sum(axis=1)[a == 0] == 0).all()

    found = loss(model, variables, example_keys(3), a, b, False)
    encoded = model.encode(variables, a)
    for i, length in enumerate(b.length):
        position = path[i, :length].argmax(axis=1)
        guess = np.asarray(encoded.mean)[i, position]
        error = (b.values[i, :length] + 4) / 3 - 1 - guess
        np.testing.assert_allclose(
            found.metrics["alignment_loss"][i], 0.5 * (error**2).mean(), rtol=1e-4
        )
        durations = path[i].sum(axis=0)[a[i] > 0]
        gap = np.asarray(encoded.log_duration[i])[a[i] > 0] - np.log(durations)
        np.testing.assert_allclose(
            found.metrics["duration_loss"][i], (gap**2).mean(), rtol=1e-4
        )
    np.testing.assert_allclose(found.loss, sum(found.metrics.values()), rtol=1e-5)


@each_model
def test_padding_never_changes_a_result(model):
    variables, keys = random_variables(model), example_keys(3)
    a, b = pairs()
    expected = loss(model, variables, keys, a, b, True)
    path = alignment(model, variables, a, b)
    y = sample(model, variables, keys, a)
    beyond = np.arange(16) >= np.asarray(y.length)[:, None]
    assert beyond.any() and (np.asarray(y.values)[beyond] == 0).all()

    a, b = pairs(garbage=1e4)
    a = np.where(np.cumsum(a == 0, axis=1) > 1, 6, a)
    found = loss(model, variables, keys, a, b, True)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5), found, expected
    )
    np.testing.assert_array_equal(alignment(model, variables, a, b), path)
    other = sample(model, variables, keys, a)
    np.testing.assert_array_equal(other.length, y.length)
    np.testing.assert_allclose(other.values, y.values, atol=1e-5)

    # Alone, three times over, so that the shapes are those compiled already.
    a, b = jax.tree.map(lambda v: np.stack([v[0]] * 3), (a, b))
    alone = loss(model, variables, keys, a, b, True)
    np.testing.assert_allclose(alone.loss[0], expected.loss[0], rtol=1e-4)
    alone = sample(model, variables, keys, a)
    np.testing.assert_array_equal(alone.length[0], y.length[0])
    np.testing.assert_allclose(alone.values[0], y.values[0], atol=1e-4)


@each_model
def test_samples_last_as_long_as_predicted(model):
    variables, (a, _) = random_variables(model), pairs()
    y = sample(model, variables, example_keys(3), a)
    durations = np.maximum(np.exp(model.encode(variables, a).log_duration), 1)
    expected = np.minimum(np.where(a > 0, durations, 0).sum(axis=1), 16)
    np.testing.assert_allclose(y.length, expected, atol=0.5)
    assert y.values.shape == (3, 16, 3) and np.isfinite(y.values).all()


def test_without_its_source_a_target_keeps_its_length_alone():
    model = MODELS["diffusion"]
    variables, (a, b) = random_variables(model), pairs()
    network = jax.jit(model.network.apply)
    x, time = jax.random.normal(jax.random.key(1), (3, 16, 3)), jnp.full(3, 0.4)
    canvas = model.align(variables, a, b).canvas
    other = canvas._replace(mean=canvas.mean + 1, hidden=canvas.hidden - 1)
    drop = jnp.ones(3, bool)
    y = network(variables, canvas, drop, x, time)
    np.testing.assert_array_equal(network(variables, other, drop, x, time), y)
    assert np.abs(network(variables, canvas, ~drop, x, time) - y).max() > 1e-3
    assert (np.asarray(y)[np.arange(16) >= b.length[:, None]] == 0).all()


def test_more_tokens_than_frames_are_no_nan():
    model = MODELS["regression"]
    a = np.array([[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]])
    b = Padded(np.zeros((2, *TARGET.shape), np.float32), np.array([3, 0]))
    variables = random_variables(model)

    def total(variables):
        return model.loss(variables, example_keys(2), a, b, True).loss.sum()

    value, gradients = jax.jit(jax.value_and_grad(total))(variables)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    y = sample(model, variables, example_keys(2), a)
    assert y.length[1] == 0 and (np.asarray(y.values[1]) == 0).all()


def spoken(number: int, seed: int) -> tuple[np.ndarray, Padded, np.ndarray]:
    """Random strings whose tokens have each a spectrum and, but for noise, a duration.

    Returns strings, frames and the token number of each frame, -1 beyond the length.
    """
    tokens = np.random.default_rng(0)
    spectra = tokens.uniform(-3, 1, (7, 3))
    rng = np.random.default_rng(seed)
    strings, frames = np.zeros((number, 5), int), np.zeros((number, *TARGET.shape))
    which = np.full((number, 16), -1)
    for i in range(number):
        size = rng.integers(2, 6)
        strings[i, :size] = rng.choice(np.arange(1, 7), size, replace=False)
        durations = np.minimum(1 + strings[i, :size] % 3 + rng.integers(0, 2, size), 3)
        run = np.repeat(np.arange(size), durations)
        which[i, : len(run)] = run
        noise = rng.normal(0, 0.1, (len(run), 3))
        frames[i, : len(run)] = spectra[strings[i, run]] + noise
    return strings, Padded(frames.astype(np.float32), (which >= 0).sum(axis=1)), which


def test_a_few_steps_find_the_alignment():
    model = Regression(SOURCE, TARGET, **(TINY | {"width": 16}))
    a, b, _ = spoken(64, seed=1)
    optimizer = optax.adam(1e-2)
    keys = example_keys(64)

    def step(carry, rng):
        variables, state = carry
        keys = jax.random.split(rng, 64)
        gradients = jax.grad(lambda v: model.loss(v, keys, a, b, True).loss.mean())(
            variables
        )
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def train(rng):
        variables = model.init(rng)
        carry = variables, optimizer.init(variables)
        return jax.lax.scan(step, carry, jax.random.split(rng, 60))[0][0]

    variables = train(jax.random.key(0))
    a, b, which = spoken(64, seed=2)
    path = np.asarray(alignment(model, variables, a, b))
    right = (path.argmax(axis=2) == which)[which >= 0].mean()
    y = sample(model, variables, keys, a)
    assert right > 0.98
    assert np.abs(y.length - b.length).mean() < 1


def test_frames_know_their_place_in_their_token():
    encoded = Encoded(
        mean=jnp.ones((1, 3, 2)),
        hidden=jnp.ones((1, 3, 4)),
        log_duration=jnp.log(jnp.array([[2.0, 1.0, 4.0]])),
        length=jnp.array([3]),
    )
    canvas = plan(encoded, 8)
    place = [-0.5, 0.5, 0, -0.75, -0.25, 0.25, 0.75, 0]
    np.testing.assert_allclose(canvas.hidden[0, :, -1], place, atol=1e-5)
    assert canvas.length == 7
