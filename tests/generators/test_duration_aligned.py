"""Tokens to frames: learned alignments, losses against NumPy, padding that is not seen."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.config.assembly import make_generator
from regen_jax.errors import UserError
from regen_jax.generators.diffusion.diffusion import Diffusion
from regen_jax.generators.diffusion.solvers.euler import Euler
from regen_jax.generators.duration_aligned import DurationAligned, aligned_features
from regen_jax.generators.regression import Regression
from regen_jax.interfaces import Generator, LossOutput
from regen_jax.networks.dit import DiTOptions
from regen_jax.networks.duration_encoder import DurationEncoder, DurationEncoderOptions
from regen_jax.spaces import Array, Padded, Tokens

SOURCE = Tokens(5, 7, padded=True)
TARGET = Array((16, 3), -4, 2, padded=True)
ENCODER = DurationEncoderOptions(width=8, num_layers=1)
FEATURES = aligned_features(ENCODER, TARGET)
DIT = DiTOptions(width=8, num_layers=1, num_heads=2)
GENERATORS = {
    "regression": Regression(FEATURES, TARGET, dataclasses.replace(DIT, patch=2)),
    "diffusion": Diffusion(
        FEATURES,
        TARGET,
        DIT,
        solver=Euler(),
        num_steps=2,
        guidance=2.0,
    ),
}
MODELS = {
    name: DurationAligned(SOURCE, TARGET, generator, ENCODER)
    for name, generator in GENERATORS.items()
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
encode = jax.jit(lambda model, *args: model.encode(*args), static_argnums=0)


def pairs(garbage: float = 0.0) -> tuple[np.ndarray, Padded]:
    """Returns three pairs; what is after each length has the scale of `garbage`."""
    rng = np.random.default_rng(2)
    source = np.array([[3, 1, 0, 0, 0], [1, 2, 3, 4, 5], [6, 0, 0, 0, 0]])
    values = rng.uniform(-4, 2, (3, *TARGET.shape)).astype(np.float32)
    length = np.array([7, 16, 2])
    beyond = np.arange(16) >= length[:, None]
    noise = np.random.default_rng(3).normal(0, 1, values.shape)
    values[beyond] = garbage * noise[beyond]
    return source, Padded(values, length)


def test_first_alignment_is_the_diagonal():
    model, (source, target) = MODELS["regression"], pairs()
    encoder = jax.jit(DurationEncoder(SOURCE, TARGET, ENCODER).init)(
        jax.random.key(0), source
    )
    params = random_variables(model)["params"] | {"duration_encoder": encoder["params"]}
    path = alignment(model, {"params": params}, source, target)
    np.testing.assert_array_equal(path[1].sum(axis=0), [3, 3, 4, 3, 3])
    np.testing.assert_array_equal(path[0].sum(axis=0), [3, 4, 0, 0, 0])


@each_model
def test_path_and_losses_match_numpy(model):
    variables, (source, target) = random_variables(model), pairs()
    path = np.asarray(alignment(model, variables, source, target))
    inside = np.arange(16) < target.length[:, None]
    np.testing.assert_array_equal(path.sum(axis=2), inside)
    assert (np.diff(path.argmax(axis=2), axis=1) <= 1).all()
    durations = path.sum(axis=1)
    assert (durations[source > 0] > 0).all() and (durations[source == 0] == 0).all()

    output = loss(model, variables, example_keys(3), source, target, False)
    encoded = encode(model, variables, source)
    for i, length in enumerate(target.length):
        position = path[i, :length].argmax(axis=1)
        mean = np.asarray(encoded.mean)[i, position]
        error = (target.values[i, :length] + 4) / 3 - 1 - mean
        np.testing.assert_allclose(
            output.metrics["alignment_loss"][i], 0.5 * (error**2).mean(), rtol=1e-4
        )
        present = source[i] > 0
        error = encoded.log_duration[i][present] - np.log(durations[i][present])
        np.testing.assert_allclose(
            output.metrics["duration_loss"][i], (error**2).mean(), rtol=1e-4
        )
    np.testing.assert_allclose(output.loss, sum(output.metrics.values()), rtol=1e-5)


@each_model
def test_padding_never_changes_a_result(model):
    variables, keys = random_variables(model), example_keys(3)
    source, target = pairs()
    expected = loss(model, variables, keys, source, target, True)
    path = alignment(model, variables, source, target)
    y = sample(model, variables, keys, source)
    beyond = np.arange(16) >= np.asarray(y.length)[:, None]
    assert beyond.any() and (np.asarray(y.values)[beyond] == 0).all()

    source, target = pairs(garbage=1e4)
    source = np.where(np.cumsum(source == 0, axis=1) > 1, 6, source)
    output = loss(model, variables, keys, source, target, True)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5), output, expected
    )
    np.testing.assert_array_equal(alignment(model, variables, source, target), path)
    other = sample(model, variables, keys, source)
    np.testing.assert_array_equal(other.length, y.length)
    np.testing.assert_allclose(other.values, y.values, atol=1e-5)

    # One example alone, three times, so that the shapes are those compiled already.
    source, target = jax.tree.map(lambda v: np.stack([v[0]] * 3), (source, target))
    alone = loss(model, variables, keys, source, target, True)
    np.testing.assert_allclose(alone.loss[0], expected.loss[0], rtol=1e-4)
    alone = sample(model, variables, keys, source)
    np.testing.assert_array_equal(alone.length[0], y.length[0])
    np.testing.assert_allclose(alone.values[0], y.values[0], atol=1e-4)


@each_model
def test_samples_last_as_long_as_predicted(model):
    variables, (source, _) = random_variables(model), pairs()
    y = sample(model, variables, example_keys(3), source)
    durations = np.maximum(np.exp(encode(model, variables, source).log_duration), 1)
    expected = np.minimum(np.where(source > 0, durations, 0).sum(axis=1), 16)
    np.testing.assert_allclose(y.length, expected, atol=0.5)
    assert y.values.shape == (3, 16, 3) and np.isfinite(y.values).all()


def test_target_without_its_source_keeps_its_length_alone():
    model = GENERATORS["diffusion"]
    variables, network = random_variables(model), jax.jit(model.module.apply)
    x, time = jax.random.normal(jax.random.key(1), (3, 16, 3)), jnp.full(3, 0.4)
    length = np.array([7, 16, 2])
    values = np.random.default_rng(4).normal(size=(3, *FEATURES.shape))
    source = Padded(values.astype(np.float32), length)
    drop = jnp.ones(3, bool)
    y = network(variables, source, drop, x, time)
    other = source._replace(values=source.values + 1)
    np.testing.assert_array_equal(network(variables, other, drop, x, time), y)
    assert np.abs(network(variables, source, ~drop, x, time) - y).max() > 1e-3
    assert (np.asarray(y)[np.arange(16) >= length[:, None]] == 0).all()


def test_more_tokens_than_frames_give_no_nan():
    model = MODELS["regression"]
    source = np.array([[1, 2, 3, 4, 5], [0, 0, 0, 0, 0], [1, 2, 3, 0, 0]])
    values = np.zeros((3, *TARGET.shape), np.float32)
    target = Padded(values, np.array([3, 0, 2]))
    variables, keys = random_variables(model), example_keys(3)

    def total(variables):
        return model.loss(variables, keys, source, target, True).loss.sum()

    value, gradients = jax.jit(jax.value_and_grad(total))(variables)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    y = sample(model, variables, keys, source)
    assert y.length[1] == 0 and (np.asarray(y.values[1]) == 0).all()


def spoken(number: int, seed: int) -> tuple[np.ndarray, Padded, np.ndarray]:
    """Draws strings whose tokens have each a spectrum and, up to noise, a duration.

    Returns strings, frames, and the position of each frame's token, -1 at padding.
    """
    tokens = np.random.default_rng(0)
    spectra = tokens.uniform(-3, 1, (7, 3))
    rng = np.random.default_rng(seed)
    strings, frames = np.zeros((number, 5), int), np.zeros((number, *TARGET.shape))
    positions = np.full((number, 16), -1)
    for i in range(number):
        size = rng.integers(2, 6)
        strings[i, :size] = rng.choice(np.arange(1, 7), size, replace=False)
        durations = np.minimum(1 + strings[i, :size] % 3 + rng.integers(0, 2, size), 3)
        run = np.repeat(np.arange(size), durations)
        positions[i, : len(run)] = run
        noise = rng.normal(0, 0.1, (len(run), 3))
        frames[i, : len(run)] = spectra[strings[i, run]] + noise
    length = (positions >= 0).sum(axis=1)
    return strings, Padded(frames.astype(np.float32), length), positions


@dataclasses.dataclass(frozen=True)
class Estimate(Generator):
    """Returns the estimate in `AlignedFeatures`; counts its steps."""

    source_space: Array
    target_space: Array

    targets = (Array,)

    def init(self, rng):
        return {"progress": {"step": jnp.zeros((), jnp.int32)}}

    def loss(self, variables, keys, source, target, train):
        zeros = jnp.zeros(len(keys))
        return LossOutput(zeros, {"zero": zeros}, {"number": jnp.ones(())})

    def sample(self, variables, keys, source):
        return Padded(source.values[..., : self.target_space.shape[-1]], source.length)

    def update(self, variables, rng, output):
        assert set(output.metrics) == {"zero"} and set(output.sums) == {"number"}
        return {"progress": {"step": variables["progress"]["step"] + 1}}


def test_generator_is_updated_by_its_own_output():
    model = DurationAligned(SOURCE, TARGET, Estimate(FEATURES, TARGET), ENCODER)
    variables, rng = random_variables(model), jax.random.key(0)
    output = loss(model, variables, example_keys(3), *pairs(), True)
    assert {"generator/loss", "generator/zero"} < set(output.metrics)
    updated = model.update(variables, rng, output)
    assert updated["params"] == variables["params"]
    step = variables["progress"]["generator"]["step"]
    assert updated["progress"]["generator"]["step"] == step + 1


def test_training_finds_the_alignment_and_the_durations():
    encoder = DurationEncoderOptions(width=16, num_layers=1)
    generator = Estimate(aligned_features(encoder, TARGET), TARGET)
    model = DurationAligned(SOURCE, TARGET, generator, encoder)
    source, target, _ = spoken(64, seed=1)
    keys, optimizer = example_keys(64), optax.adam(1e-2)

    def mean_loss(params):
        variables = {"params": params}
        return model.loss(variables, keys, source, target, True).loss.mean()

    @jax.jit
    def train(rng):
        def step(carry, _):
            params, state = carry
            updates, state = optimizer.update(jax.grad(mean_loss)(params), state)
            return (optax.apply_updates(params, updates), state), None

        params = model.init(rng)["params"]
        carry = params, optimizer.init(params)
        return {"params": jax.lax.scan(step, carry, length=60)[0][0]}

    variables = train(jax.random.key(0))
    source, target, positions = spoken(64, seed=2)
    path = np.asarray(alignment(model, variables, source, target))
    correct = path.argmax(axis=2) == positions
    assert correct[positions >= 0].mean() > 0.98
    y = sample(model, variables, keys, source)
    assert np.abs(y.length - target.length).mean() < 1


SECTION = {
    "name": "duration_aligned",
    "duration_encoder": {"width": 8, "num_layers": 1},
    "generator": {
        "name": "regression",
        "network": {
            "name": "dit",
            "patch": 2,
            "width": 8,
            "num_layers": 1,
            "num_heads": 2,
        },
    },
}


def from_section(section, source_space=SOURCE, target_space=TARGET):
    return make_generator(
        {"prior": section},
        "config",
        "prior",
        "its target",
        source_space,
        target_space,
        target_space,
    )


def test_section_builds_encoder_and_generator():
    assert from_section(SECTION) == MODELS["regression"]
    assert MODELS["diffusion"].sampling == {
        "generator.solver",
        "generator.num_steps",
        "generator.guidance",
        "generator.guidance_method",
    }


@pytest.mark.parametrize(
    ("changes", "spaces", "message"),
    [
        ({"generator": None}, {}, "config.prior.generator must be a section"),
        ({"generator": {}}, {}, "config.prior.generator needs a name: "),
        (
            {"generator": {"name": "autoregressive"}},
            {},
            "config.prior: generator 'autoregressive' generates Tokens, but its target",
        ),
        (
            {"duration_encoder": {"depth": 3}},
            {},
            "config.prior.duration_encoder.depth is not an option",
        ),
        ({"size": 3}, {}, "config.prior.size is not an option of DurationAligned"),
        ({"alignment_weight": 0.0}, {}, "alignment_weight must be above 0"),
        (
            {},
            {"target_space": Array((16, 3))},
            (
                "config.prior: needs Tokens and a padded Array of frames and channels, "
                "not Tokens(5 of 7, padded) to Array(16"
            ),
        ),
    ],
)
def test_section_that_does_not_fit_raises_user_error(changes, spaces, message):
    with pytest.raises(UserError) as error:
        from_section(SECTION | changes, **spaces)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
