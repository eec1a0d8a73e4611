"""Diffusion: its loss against NumPy, its samples against closed forms."""

import dataclasses
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.config.registry import instantiate
from regen_jax.generators.diffusion.diffusion import Diffusion
from regen_jax.generators.diffusion.guidance.autoguidance import Autoguidance
from regen_jax.generators.diffusion.guidance.classifier_free import ClassifierFree
from regen_jax.generators.diffusion.interfaces import Components, Process, Scales
from regen_jax.generators.diffusion.solvers.dpm_solver_2m import DPMSolver2M
from regen_jax.generators.diffusion.solvers.euler import Euler
from regen_jax.generators.diffusion.solvers.heun import Heun
from regen_jax.generators.diffusion.time_sampling.logit_normal import LogitNormal
from regen_jax.generators.diffusion.time_sampling.uniform import Uniform
from regen_jax.networks.dit import DiTOptions
from regen_jax.spaces import Array, Category, Tokens, zeros
from tests.generators.diffusion.gaussians import (
    PROCESSES,
    BestNetwork,
    at_start,
    best_estimate,
    flow_end,
)
from tests.generators.traces import assert_trains_and_samples

CLASSES, TARGET = Category(3), Array((4, 4, 1), 0, 10)
NETWORK = DiTOptions(patch=2, width=8, num_layers=1, num_heads=2)


def tiny(source_space=CLASSES, target_space=TARGET, **options: Any) -> Diffusion:
    """Returns a model with a small network."""
    return Diffusion(source_space, target_space, **{"network": NETWORK} | options)


MODEL = tiny()


def example_keys(number: int, seed: int = 0) -> jax.Array:
    return jax.random.split(jax.random.key(seed), number)


def random_variables(model: Diffusion, scale: float = 0.3):
    """Draws parameters, as much of a DiT is exactly zero at its start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, scale, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


@jax.jit
def gaussian_noise(keys: jax.Array) -> jax.Array:
    def draw(key: jax.Array) -> jax.Array:
        return jax.random.normal(jax.random.fold_in(key, 2), TARGET.shape)

    return jax.vmap(draw)(keys)


# A model is hashable, so that tests of equal models and shapes share a compilation.
loss = jax.jit(Diffusion.loss, static_argnums=(0, 5))
sample = jax.jit(Diffusion.sample, static_argnums=0)


@jax.jit
def network(variables, source, drop, x, times):
    return MODEL.module.apply(variables, source, drop, x, times)


@pytest.mark.parametrize("name", PROCESSES)
def test_sample_is_the_noise_of_its_key_carried_to_the_data(monkeypatch, name):
    process, keys = PROCESSES[name], example_keys(4)
    solver = DPMSolver2M() if name in ("v", "epsilon") else Heun()
    model = tiny(process=process, solver=solver, num_steps=200)
    monkeypatch.setattr(Diffusion, "module", BestNetwork(process))
    x = at_start(process, gaussian_noise(keys))
    expected = np.clip(5 * (flow_end(process, x) + 1), 0, 10)
    y = jax.jit(model.sample)({"params": {}}, keys, jnp.zeros(4, int))
    np.testing.assert_allclose(y, expected, atol=0.01)


def test_shifted_times_multiply_the_noise_levels_of_a_flow(monkeypatch):
    model = tiny(solver=Euler(), num_steps=4, time_shift=3.0)
    monkeypatch.setattr(Diffusion, "module", BestNetwork(model.process))
    keys = example_keys(4)
    # Equation 23 of 2403.03206, of the fraction of noise.
    fraction = 1 - np.linspace(0, 1, 5)
    shifted = 3 * fraction / (1 + 2 * fraction)
    x = gaussian_noise(keys)
    for start, end in itertools.pairwise(shifted):
        data, noise = best_estimate(x, 1 - start, start)
        x = x + (start - end) * (data - noise)
    y = jax.jit(model.sample)({"params": {}}, keys, jnp.zeros(4, int))
    np.testing.assert_allclose(y, np.clip(5 * (x + 1), 0, 10), atol=1e-4)


@pytest.mark.parametrize("process", ["flow", "edm"])
def test_loss_matches_numpy_and_drops_no_source_out_of_training(process):
    model = tiny(process=PROCESSES[process], source_dropout=0.9, time_shift=2.0)
    variables, keys = random_variables(model), example_keys(4)
    source = jnp.arange(4) % 3
    target = np.random.default_rng(1).uniform(0, 10, (4, 4, 4, 1)).astype(np.float32)

    time_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    time = LogitNormal().sample(time_keys, model.process)
    time = time / (time + 2 * (1 - time))
    noise, data, t = gaussian_noise(keys), target / 5 - 1, time[:, None, None, None]
    if process == "flow":
        x, expected = (1 - t) * noise + t * data, data - noise
        inputs = x, time
    else:
        sigma = 80 * (1 - t) ** 7
        x, variance = data + sigma * noise, sigma**2 + 0.5**2
        inputs = x / jnp.sqrt(variance), jnp.log(sigma[:, 0, 0, 0]) / 4
        # The weighted error of the denoiser is that of F from what D = data needs.
        out = sigma * 0.5 / jnp.sqrt(variance)
        expected = (data - 0.5**2 / variance * x) / out
    y = network(variables, source, jnp.zeros(4, bool), *inputs)
    squares = (np.asarray(y) - expected) ** 2
    output = loss(model, variables, keys, source, target, False)
    np.testing.assert_allclose(output.loss, squares.mean(axis=(1, 2, 3)), rtol=1e-3)


def test_source_is_dropped_at_its_rate_in_training():
    model = tiny(source_dropout=0.5)
    variables, keys = random_variables(model), example_keys(64)
    target, source = zeros(TARGET, 64), jnp.zeros(64, int)
    losses = [
        loss(model, variables, keys, source + number, target, True).loss
        for number in (0, 1)
    ]
    assert 0.3 < np.isclose(*losses, rtol=1e-6).mean() < 0.7


def test_guided_steps_follow_the_guided_velocity_within_the_interval():
    method = ClassifierFree(interval=(0.25, 0.5))
    model = tiny(solver=Euler(), num_steps=4, guidance=3.0, guidance_method=method)
    variables, keys = random_variables(model), example_keys(4)
    source, x = jnp.arange(4) % 3, gaussian_noise(keys)
    for step, scale in enumerate([1, 3, 3, 1]):
        times = jnp.full(4, step / 4)
        conditional = network(variables, source, jnp.zeros(4, bool), x, times)
        free = network(variables, source, jnp.ones(4, bool), x, times)
        assert np.abs(conditional - free).max() > 0.01
        x = x + (free + scale * (conditional - free)) / 4
    expected = np.clip(5 * (x + 1), 0, 10)
    y = sample(model, variables, keys, source)
    np.testing.assert_allclose(y, expected, atol=1e-3)


def test_guide_guides_by_its_own_parameters():
    model = tiny(
        solver=Euler(),
        num_steps=2,
        guidance=2.0,
        guidance_method=Autoguidance((0.5, 1.0)),
        guide_steps=5,
        source_dropout=0.0,
    )
    variables, keys = random_variables(model), example_keys(4)
    early = {"params": variables["guide"]["params"]}
    source, drop, x = jnp.arange(4) % 3, jnp.zeros(4, bool), gaussian_noise(keys)
    for step in range(2):
        inputs = source, drop, x, jnp.full(4, step / 2)
        velocity = network({"params": variables["params"]}, *inputs)
        if step == 1:
            velocity = 2 * velocity - network(early, *inputs)
        x = x + velocity / 2
    y = sample(model, variables, keys, source)
    np.testing.assert_allclose(y, np.clip(5 * (x + 1), 0, 10), atol=1e-3)


def test_sample_depends_on_its_key_and_source_alone():
    model = tiny(solver=Euler(), num_steps=3, guidance=2.0)
    variables, keys, source = (
        random_variables(model),
        example_keys(8),
        jnp.arange(8) % 2,
    )
    together = sample(model, variables, keys, source)
    alone = sample(model, variables, keys[:4], source[:4])
    np.testing.assert_allclose(together[:4], alone, atol=1e-4)
    assert np.abs(together[0] - together[4]).max() > 0.1


@pytest.mark.parametrize(
    "source_space",
    [
        Category(3),
        Tokens(4, 5),
        Tokens(4, 5, depth=2),
        Tokens(4, 5, padded=True),
        Array((2, 2, 3), 0, 1),
        Array((4, 4, 1)),
        Array((5, 3)),
        Array((6,)),
    ],
)
def test_every_kind_of_source_conditions(source_space):
    model = tiny(source_space, guidance=2.0, num_steps=2)
    assert_trains_and_samples(model)


@pytest.mark.parametrize(
    "source_space",
    [Category(3), Tokens(4, 5, padded=True), Array((4, 4, 1)), Array((4, 2))],
)
def test_every_kind_of_source_conditions_a_sequence_of_latents(source_space):
    model = tiny(source_space, Array((8, 3)), guidance=2.0, num_steps=2)
    assert_trains_and_samples(model)


@pytest.mark.parametrize(
    "target_space", [Array((6,)), Array((8, 3), 0, 1), Array((2, 4, 4, 1))]
)
def test_targets_of_every_rank_are_sampled(target_space):
    model = tiny(target_space=target_space, solver=Euler(), num_steps=2)
    variables = random_variables(model)
    y = sample(model, variables, example_keys(2), jnp.arange(2))
    assert y.shape == (2, *target_space.shape)
    assert np.isfinite(y).all()
    assert y.min() >= target_space.low and y.max() <= target_space.high


def test_bfloat16_loss_is_near_float32_and_gradients_are_float32():
    model = tiny(Array((2, 2, 1)))
    half = tiny(
        Array((2, 2, 1)), network=dataclasses.replace(NETWORK, dtype="bfloat16")
    )
    variables, keys = random_variables(model), example_keys(4)
    source = jax.random.normal(jax.random.key(1), (4, 2, 2, 1))
    target = jax.random.uniform(jax.random.key(2), (4, 4, 4, 1), maxval=10.0)
    inputs = variables, keys, source, target
    expected = loss(model, *inputs, True).loss.mean()
    np.testing.assert_allclose(
        loss(half, *inputs, True).loss.mean(), expected, rtol=0.03
    )
    gradients = jax.eval_shape(
        jax.grad(lambda *inputs: half.loss(*inputs, True).loss.mean()), *inputs
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}


def test_overfitted_model_samples_its_data():
    model = tiny(
        Category(2),
        Array((4,), -1, 1),
        network=DiTOptions(width=32, num_layers=1, num_heads=2),
        source_dropout=0.0,
        time_sampling=Uniform(),
    )
    points = jnp.array([[0.8, -0.8, 0.5, 0.0], [-0.5, 0.6, -0.2, 0.9]])
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, 500))
    source = jnp.arange(64) % 2

    def step(carry, rng):
        variables, state = carry
        keys = jax.random.split(rng, 64)
        gradients = jax.grad(
            lambda v: model.loss(v, keys, source, points[source], True).loss.mean()
        )(variables)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def train(variables, rngs):
        carry = variables, optimizer.init(variables)
        return jax.lax.scan(step, carry, rngs)[0][0]

    rngs = jax.random.split(jax.random.key(1), 500)
    variables = train(random_variables(model, scale=0.1), rngs)
    y = sample(model, variables, example_keys(16, seed=5), source[:16])
    np.testing.assert_allclose(y, points[source[:16]], atol=0.05)


@dataclasses.dataclass(frozen=True)
class Constant(Process):
    """Keeps data without noise; samples stay where they begin."""

    def scales(self, time):
        return Scales(jnp.ones_like(time), jnp.ones_like(time))

    def time_at(self, noise_level):
        return noise_level

    def corrupt(self, truth, time_B):
        return truth.data

    def error(self, prediction, truth, time_B):
        return prediction

    def estimate(self, prediction, x, time_B):
        return Components(x, jnp.zeros_like(x))


def test_process_of_ones_own_is_trained_and_sampled():
    section = {"process": {"name": f"{__name__}:Constant"}}
    spaces = {"source_space": CLASSES, "target_space": Array(TARGET.shape)}
    model = instantiate(Diffusion, section, "config.prior", **spaces)
    model = dataclasses.replace(model, network=NETWORK, solver=Euler(), num_steps=1)
    assert type(model.process).__name__ == "Constant"
    variables, keys, source = (
        random_variables(model),
        example_keys(4),
        jnp.arange(4) % 3,
    )
    x = sample(model, variables, keys, source)
    np.testing.assert_allclose(x, gaussian_noise(keys), atol=1e-6)

    time_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    time = LogitNormal().sample(time_keys, model.process)
    prediction = network(variables, source, jnp.zeros(4, bool), x, time)
    expected = np.square(prediction).mean(axis=(1, 2, 3))
    output = loss(model, variables, keys, source, x, False)
    np.testing.assert_allclose(output.loss, expected, rtol=1e-4)
