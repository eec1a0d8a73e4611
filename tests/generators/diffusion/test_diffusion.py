"""Flow matching: its ODE against closed forms, its loss against NumPy, its sampling."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.generators.diffusion.diffusion import Diffusion, integrate
from regen_jax.spaces import Array, Category, Tokens, zeros

MEAN, SPREAD = 0.7, 0.3
TARGET = Array((4, 4, 1), 0, 10)
TINY = {"patch": 2, "width": 8, "num_layers": 1, "num_heads": 2}
MODEL = Diffusion(Category(3), TARGET, **TINY)


def gaussian_velocity(x, time):
    """E[b - noise | x_t] for b ~ N(MEAN, SPREAD²), by conditioning of Gaussians."""
    variance = (1 - time) ** 2 + (time * SPREAD) ** 2
    gain = (time * SPREAD**2 - (1 - time)) / variance
    return MEAN + gain * (x - time * MEAN)


def example_keys(number: int, seed: int = 0) -> jax.Array:
    return jax.random.split(jax.random.key(seed), number)


def random_variables(model: Diffusion, scale: float = 0.3):
    """Parameters off their start, at which much of a DiT is exactly zero."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda p: rng.normal(0, scale, p.shape).astype(np.float32),
        jax.eval_shape(model.init, jax.random.key(0)),
    )


def gaussian_noise(keys: jax.Array) -> np.ndarray:
    draws = [jax.random.normal(jax.random.fold_in(key, 2), (4, 4, 1)) for key in keys]
    return np.stack(draws)


# A model is hashable, so that tests of equal models and shapes share a compilation.
loss = jax.jit(Diffusion.loss, static_argnums=(0, 5))
sample = jax.jit(Diffusion.sample, static_argnums=0)
velocity = jax.jit(Diffusion.velocity, static_argnums=(0, 5))


@functools.partial(jax.jit, static_argnums=0)
def network(model, variables, a, drop, x, times):
    return model.network.apply(variables, a, drop, x, times)


@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_ode_carries_noise_to_the_gaussian(solver):
    noise = jnp.linspace(-3, 3, 13)
    x = integrate(gaussian_velocity, noise, jnp.linspace(0, 1, 2001), solver)
    np.testing.assert_allclose(x, MEAN + SPREAD * noise, atol=2e-3)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_order_of_convergence(solver, order):
    noise = jnp.linspace(-3, 3, 13)
    errors = [
        np.abs(
            integrate(gaussian_velocity, noise, jnp.linspace(0, 1, steps + 1), solver)
            - (MEAN + SPREAD * noise)
        ).max()
        for steps in (32, 64)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_samples_are_the_noise_of_each_key_carried_to_the_data(monkeypatch):
    monkeypatch.setattr(
        Diffusion, "velocity", lambda self, v, a, x, t, w: gaussian_velocity(x, t)
    )
    model = Diffusion(Category(2), TARGET, num_steps=200, **TINY)
    keys = example_keys(4)
    expected = np.clip(5 * (MEAN + SPREAD * gaussian_noise(keys) + 1), 0, 10)
    y = model.sample({}, keys, jnp.zeros(4, int))
    np.testing.assert_allclose(y, expected, atol=0.01)


@pytest.mark.parametrize("times", ["logit_normal", "uniform"])
def test_loss_matches_numpy(times):
    model = Diffusion(Category(3), TARGET, times=times, **TINY)
    variables, keys, a = random_variables(model), example_keys(4), jnp.arange(4) % 3
    b = np.random.default_rng(1).uniform(0, 10, (4, 4, 4, 1)).astype(np.float32)

    draw = jax.random.uniform if times == "uniform" else jax.random.normal
    time = np.array([draw(jax.random.fold_in(key, 1)) for key in keys])
    time = time if times == "uniform" else 1 / (1 + np.exp(-time))
    noise, data, t = gaussian_noise(keys), b / 5 - 1, time[:, None, None, None]
    x = (1 - t) * noise + t * data
    y = network(MODEL, variables, a, jnp.zeros(4, bool), x, time)
    expected = ((np.asarray(y) - (data - noise)) ** 2).mean(axis=(1, 2, 3))
    objective = loss(model, variables, keys, a, b, False)
    np.testing.assert_allclose(objective.loss, expected, rtol=1e-4)


def test_a_source_is_dropped_at_the_given_rate_in_training_alone():
    model = Diffusion(Category(3), TARGET, source_dropout=0.5, **TINY)
    variables, keys = random_variables(model), example_keys(64)
    b, zero = zeros(TARGET, 64), jnp.zeros(64, int)
    unmoved = [
        np.isclose(
            loss(model, variables, keys, zero, b, train).loss,
            loss(model, variables, keys, zero + 1, b, train).loss,
            rtol=1e-6,
        ).mean()
        for train in (True, False)
    ]
    assert 0.3 < unmoved[0] < 0.7
    assert unmoved[1] == 0


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_guidance_extrapolates_from_the_unconditional_velocity(guidance):
    variables, a = random_variables(MODEL), jnp.array([2, 0, 1, 1])
    x, times = gaussian_noise(example_keys(4)), jnp.full(4, 0.4)
    given = network(MODEL, variables, a, jnp.zeros(4, bool), x, times)
    free = network(MODEL, variables, a, jnp.ones(4, bool), x, times)
    assert np.abs(given - free).max() > 0.01
    np.testing.assert_allclose(
        velocity(MODEL, variables, a, x, 0.4, guidance),
        free + guidance * (given - free),
        atol=1e-4,
    )


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_only_guidance_doubles_the_batch(guidance):
    model = Diffusion(Category(3), TARGET, guidance=guidance, **TINY)
    trace = jax.make_jaxpr(model.sample)(
        random_variables(model), example_keys(5), jnp.zeros(5, int)
    )
    assert ("f32[10,4,8]" in str(trace)) == (guidance != 1)


def test_guidance_holds_within_its_interval_alone():
    model = Diffusion(
        Category(3),
        TARGET,
        solver="euler",
        num_steps=4,
        guidance=3.0,
        guidance_interval=(0.25, 0.5),
        **TINY,
    )
    variables, keys, a = random_variables(model), example_keys(4), jnp.arange(4) % 3
    x = gaussian_noise(keys)
    for step, guidance in enumerate([1, 3, 3, 1]):
        times = jnp.full(4, step / 4)
        given = network(MODEL, variables, a, jnp.zeros(4, bool), x, times)
        free = network(MODEL, variables, a, jnp.ones(4, bool), x, times)
        x = x + np.asarray(free + guidance * (given - free)) / 4
    expected = np.clip(5 * (x + 1), 0, 10)
    np.testing.assert_allclose(sample(model, variables, keys, a), expected, atol=1e-3)


def test_a_sample_depends_on_its_key_and_source_alone():
    model = Diffusion(
        Category(3), TARGET, solver="euler", num_steps=3, guidance=2.0, **TINY
    )
    variables, keys, a = random_variables(model), example_keys(8), jnp.arange(8) % 2
    together = sample(model, variables, keys, a)
    alone = sample(model, variables, keys[:4], a[:4])
    np.testing.assert_allclose(together[:4], alone, atol=1e-4)
    assert np.abs(together[0] - together[4]).max() > 0.1


@pytest.mark.parametrize(
    "source",
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
def test_every_kind_of_source_fits(source):
    model = Diffusion(source, TARGET, guidance=2.0, num_steps=2, **TINY)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    keys, a, b = example_keys(2), zeros(source, 2), zeros(TARGET, 2)
    objective = jax.eval_shape(lambda v: model.loss(v, keys, a, b, True), variables)
    y = jax.eval_shape(lambda v: model.sample(v, keys, a), variables)
    assert (objective.loss.shape, objective.loss.dtype) == ((2,), jnp.float32)
    assert (y.shape, y.dtype) == ((2, 4, 4, 1), jnp.float32)


@pytest.mark.parametrize(
    "target", [Array((6,)), Array((8, 3), 0, 1), Array((2, 4, 4, 1))]
)
def test_targets_of_every_rank(target):
    model = Diffusion(Category(3), target, solver="euler", num_steps=2, **TINY)
    variables = random_variables(model)
    y = sample(model, variables, example_keys(2), jnp.arange(2))
    assert y.shape == (2, *target.shape)
    assert np.isfinite(y).all()
    assert y.min() >= target.low and y.max() <= target.high


def test_remat_and_bfloat16_agree_with_the_plain_model():
    plain = Diffusion(Array((2, 2, 1)), TARGET, **TINY)
    variables, keys = random_variables(plain), example_keys(4)
    a = jax.random.normal(jax.random.key(1), (4, 2, 2, 1))
    b = jax.random.uniform(jax.random.key(2), (4, 4, 4, 1), maxval=10.0)

    def run(**options):
        model = dataclasses.replace(plain, **options)

        def mean(variables):
            return model.loss(variables, keys, a, b, True).loss.mean()

        return jax.jit(jax.value_and_grad(mean))(variables)

    expected = run()
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
        run(remat=True),
        expected,
    )
    half, gradients = run(dtype="bfloat16")
    np.testing.assert_allclose(half, expected[0], rtol=0.03)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}


def test_an_overfitted_model_samples_its_data():
    model = Diffusion(
        Category(2),
        Array((4,), -1, 1),
        width=32,
        num_layers=1,
        num_heads=2,
        source_dropout=0.0,
        times="uniform",
    )
    points = jnp.array([[0.8, -0.8, 0.5, 0.0], [-0.5, 0.6, -0.2, 0.9]])
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, 500))
    a = jnp.arange(64) % 2

    def step(carry, rng):
        variables, state = carry
        keys = jax.random.split(rng, 64)
        gradients = jax.grad(
            lambda v: model.loss(v, keys, a, points[a], True).loss.mean()
        )(variables)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def train(variables, rngs):
        carry = variables, optimizer.init(variables)
        return jax.lax.scan(step, carry, rngs)[0][0]

    rngs = jax.random.split(jax.random.key(1), 500)
    variables = train(random_variables(model, scale=0.1), rngs)
    y = sample(model, variables, example_keys(16, seed=5), a[:16])
    np.testing.assert_allclose(y, points[a[:16]], atol=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"patch": 3},
            "patch 3 does not divide the axes of Array(4, 4, 1); known to fit",
        ),
        ({"num_heads": 3}, "num_heads 3 does not divide width 8"),
        ({"num_layers": 0}, "must be at least 1"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must be above 0"),
        ({"dropout": 1.0}, "dropout must be in [0, 1)"),
        ({"dtype": "float16"}, "'float32' or 'bfloat16', not 'float16'"),
        ({"times": "cosine"}, "'logit_normal' or 'uniform', not 'cosine'"),
        ({"solver": "rk4"}, "'heun' or 'euler', not 'rk4'"),
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"source_dropout": 1.0}, "source_dropout must be in [0, 1)"),
        ({"source_dropout": 0.0, "guidance": 2.0}, "needs source_dropout above 0"),
        ({"guidance": -0.5}, "guidance must be in [0, 1000], not -0.5"),
        ({"guidance": float("inf")}, "guidance must be finite"),
        ({"guidance_interval": (0.5, 1.2)}, "guidance_interval[1] must be in [0, 1]"),
        ({"guidance_interval": (0.5, 0.2)}, "two rising times"),
        ({"source_space": Array((9, 3), padded=True)}, "source of constant length"),
        ({"target_space": Array((4, 4, 1), padded=True)}, "target of constant length"),
        (
            {"target_space": Array((8, 3), padded=True)},
            "or Tokens to an Array of frames",
        ),
        ({"encoder_layers": -1}, "encoder_layers must be 0 or more"),
        ({"alignment_weight": 0.0}, "alignment_weight must be above 0"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(options, message):
    given = {"source_space": Category(2), "target_space": TARGET, **TINY, **options}
    with pytest.raises(ValueError) as error:
        Diffusion(**given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
