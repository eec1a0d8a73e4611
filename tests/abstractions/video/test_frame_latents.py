"""Latents per frame, learned from frames alone, given the first one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from regen_jax.abstractions.bottlenecks.fsq import FiniteScalarQuantizer
from regen_jax.abstractions.bottlenecks.identity import Identity
from regen_jax.abstractions.video.frame_latents import FrameLatents
from regen_jax.spaces import Array, Padded, Tokens

CLIPS = Array((5, 8, 8, 1), 0, 255, step=1.0, padded=True)
MODEL = FrameLatents(
    CLIPS, Identity(3), (8, 8), num_blocks=0, frames_per_clip=3, frames_at_once=2
)
FSQ = dataclasses.replace(
    MODEL, bottleneck=FiniteScalarQuantizer((4, 3), standardize=False)
)
KEYS = jax.random.split(jax.random.key(0), 6)

encode = jax.jit(FrameLatents.encode, static_argnums=0)
decode = jax.jit(FrameLatents.decode, static_argnums=0)
loss = jax.jit(FrameLatents.loss, static_argnums=(0, 4))


def clips(seed=0, number=6):
    """A bright square of 4 x 4 on gray noise, in a corner of its own in each frame."""
    rng = np.random.default_rng(seed)
    frames = np.tile(rng.uniform(60, 120, (number, 1, 8, 8, 1)), (1, 5, 1, 1, 1))
    corners = rng.integers(0, 2, (number, 5, 2)) * 4
    for clip, frame in np.ndindex(number, 5):
        row, column = corners[clip, frame]
        frames[clip, frame, row : row + 4, column : column + 4] += 120
    length = np.arange(number) % 5 + 1
    frames[np.arange(5) >= length[:, None]] = 0
    return Padded(jnp.asarray(frames.round(), jnp.float32), jnp.asarray(length))


def random_variables(model):
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, KEYS[0], clips())

    def draw(path, leaf):
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 10
        noise = rng.normal(0, 1 / np.sqrt(fan_in), leaf.shape).astype(np.float32)
        return jnp.asarray(noise + (path[-1].key in ("scale", "std")))

    return jax.tree_util.tree_map_with_path(draw, shapes)


@pytest.fixture(scope="module", params=[MODEL, FSQ], ids=["identity", "fsq"])
def model(request):
    return request.param, random_variables(request.param)


def test_y_prime_is_the_first_frame_and_a_latent_per_frame(model):
    model, variables = model
    tracks = Array((5, 3), padded=True)
    if model is FSQ:
        tracks = Tokens(5, 13, padded=True)
    picture = Array((8, 8, 1), 0, 255, step=1.0)
    assert model.output_space.fields == (("tracks", tracks), ("picture", picture))
    y = clips()
    y_prime = encode(model, variables, y)
    np.testing.assert_array_equal(y_prime["picture"], y.values[:, 0])
    if model is FSQ:
        valid = np.arange(5) < y.length[:, None]
        np.testing.assert_array_equal(y_prime["tracks"] > 0, valid)
    decoded = decode(model, variables, y_prime)
    np.testing.assert_array_equal(decoded.length, y.length)
    assert not np.asarray(decoded.values)[np.arange(5) >= y.length[:, None]].any()


def test_padding_has_no_influence(model):
    model, variables = model
    y = clips()
    padding = (np.arange(5) >= y.length[:, None])[..., None, None, None]
    other = y._replace(values=jnp.where(padding, 255.0, y.values))
    for function in (
        lambda y: encode(model, variables, y),
        lambda y: loss(model, variables, KEYS, y, True).loss,
    ):
        jax.tree.map(np.testing.assert_array_equal, function(y), function(other))


def test_frames_in_chunks_equal_frames_at_once():
    variables, y = random_variables(MODEL), clips()
    whole = dataclasses.replace(MODEL, frames_at_once=9)
    y_prime = encode(MODEL, variables, y)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        y_prime,
        encode(whole, variables, y),
    )
    decoded = decode(MODEL, variables, y_prime)
    at_once = decode(whole, variables, y_prime)
    np.testing.assert_allclose(decoded.values, at_once.values, atol=1e-3)


def test_training_beats_the_first_frame_and_moments_standardize():
    y = clips()
    variables = random_variables(MODEL)
    last = variables["params"]["decoder"]["out_0"]
    last["kernel"], last["bias"] = 0 * last["kernel"], 0 * last["bias"]
    before = decode(MODEL, variables, encode(MODEL, variables, y))
    still = np.where(np.asarray(y.values).any(axis=(2, 3, 4), keepdims=True), 1, 0)
    expected = still * np.asarray(y.values)[:, :1]
    np.testing.assert_allclose(before.values, expected, atol=1e-3)

    optimizer = optax.adam(2e-2)

    @jax.jit
    def train(variables, rng):
        def step(carry, rng):
            params, state = carry
            keys = jax.random.split(rng, 6)

            def mean_loss(params):
                output = MODEL.loss({**variables, "params": params}, keys, y, True)
                return output.loss.mean()

            grads = jax.grad(mean_loss)(params)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state), None

        params = variables["params"]
        start = params, optimizer.init(params)
        (params, _), _ = jax.lax.scan(step, start, jax.random.split(rng, 60))
        return {**variables, "params": params}

    variables = train(variables, jax.random.key(1))
    after = decode(MODEL, variables, encode(MODEL, variables, y))
    errors = [np.square(z.values - y.values).mean() for z in (before, after)]
    assert errors[1] < 0.25 * errors[0]

    finalized = MODEL.finalize(variables, [y])
    tracks = encode(MODEL, finalized, y)["tracks"]
    latents = np.asarray(tracks.values)[np.arange(5) < y.length[:, None]]
    np.testing.assert_allclose(latents.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std(axis=0), 1, atol=1e-3)
    same = decode(MODEL, finalized, encode(MODEL, finalized, y))
    np.testing.assert_allclose(same.values, after.values, atol=0.01)


def test_clips_of_constant_length_have_latents_without_padding():
    space = dataclasses.replace(CLIPS, padded=False)
    model = dataclasses.replace(MODEL, input_space=space)
    assert model.output_space.spaces["tracks"] == Array((5, 3))

    def trace(rng, y):
        variables = model.init(rng, y)
        output = model.loss(variables, KEYS, y, True)
        return output.loss, model.decode(variables, model.encode(variables, y))

    y = clips().values
    loss, decoded = jax.eval_shape(trace, KEYS[0], y)
    assert loss.shape == (6,) and decoded.shape == y.shape


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (
            Array((8, 8, 1), 0, 255),
            {},
            r"needs clips, an Array of .* not Array\(8, 8, 1\)",
        ),
        (Array((5, 8, 8, 1)), {}, "needs clips, an Array of .* with bounds"),
        (CLIPS, {"widths": (8,) * 4}, r"4 levels reduce the resolution 16 times"),
        (CLIPS, {"frames_per_clip": 0}, "frames_per_clip must be at least 1"),
    ],
)
def test_option_that_does_not_fit_raises_value_error(space, options, message):
    with pytest.raises(ValueError, match=message) as error:
        FrameLatents(space, **options)
    assert "\n" not in str(error.value)
