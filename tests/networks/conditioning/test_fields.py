"""Fields of a record over the frames of a clip, against NumPy, and in time with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.generators.regression import Regression
from regen_jax.networks.conditioning.fields import FieldsConditioning
from regen_jax.networks.dit3d import SpaceTimeDiTOptions
from regen_jax.spaces import Array, Category, Padded, Record, Tokens
from tests.networks.parameters import random_variables

FRAMES, CHANNELS = 6, 3
CLIP = Array((FRAMES, 4, 4, 1), 0, 2, padded=True)
SPEECH = Array((2 * FRAMES, 5), padded=True)
SOURCE = Record((("speech", SPEECH), ("picture", Array((4, 4, 1), 0, 2))))
LENGTH = np.array([7, 12])  # Steps of speech, two of which last a frame.
CONDITIONING = FieldsConditioning(CHANNELS)
MODULE = CONDITIONING.module(SOURCE, CLIP, 8, jnp.float32)
KEEP = jnp.zeros(2, bool)


def random_source(seed):
    rng = np.random.default_rng(seed)
    speech = jnp.asarray(rng.normal(size=(2, *SPEECH.shape)), jnp.float32)
    picture = jnp.asarray(rng.uniform(0, 2, (2, 4, 4, 1)), jnp.float32)
    return {"speech": Padded(speech, jnp.asarray(LENGTH)), "picture": picture}


def test_fields_are_channels_over_every_frame():
    source = random_source(0)
    variables = random_variables(MODULE, source, KEEP)
    condition = jax.jit(MODULE.apply)(variables, source, KEEP)
    project = variables["params"]["speech"]["project"]
    steps = np.array(source["speech"].values)
    steps[np.arange(2 * FRAMES) >= LENGTH[:, None]] = 0
    expected = np.empty((2, *CLIP.shape[:-1], CHANNELS + 1))
    for frame in range(FRAMES):
        vector = steps[:, 2 * frame : 2 * frame + 2].reshape(2, 10)
        vector = vector @ project["kernel"] + project["bias"]
        expected[:, frame, ..., :CHANNELS] = vector[:, None, None]
        expected[:, frame, ..., CHANNELS:] = np.asarray(source["picture"]) - 1
    np.testing.assert_allclose(condition.channels, expected, atol=1e-5)
    frames = np.arange(FRAMES) < np.array([[4], [6]])
    np.testing.assert_array_equal(condition.frame_mask, frames)
    assert condition.tokens is None


def test_dropped_fields_have_no_influence():
    first, second = random_source(0), random_source(1)
    variables = random_variables(MODULE, first, KEEP)
    apply = jax.jit(MODULE.apply)
    kept, dropped = (apply(variables, first, drop) for drop in (KEEP, ~KEEP))
    assert np.abs(kept.vector - dropped.vector).min() > 1e-3
    for name in first:
        changed = {**first, name: second[name]}
        difference = apply(variables, changed, KEEP).channels - kept.channels
        assert np.abs(difference).max() > 1e-3
        without = apply(variables, changed, ~KEEP)
        jax.tree.map(np.testing.assert_array_equal, without, dropped)


def test_picture_is_the_estimate_of_every_frame():
    source = random_source(0)
    estimate = CONDITIONING.estimate(SOURCE, CLIP, source)
    for frame in range(FRAMES):
        np.testing.assert_allclose(estimate.mean[:, frame], source["picture"] - 1)
    gray = Array((FRAMES, 4, 4, 2), padded=True)
    assert CONDITIONING.estimate(SOURCE, gray, source) is None


def test_speech_reaches_its_own_frame_alone():
    """Of the input channels; a network may read those of other frames."""
    source = random_source(0)
    variables = random_variables(MODULE, source, KEEP)

    def frames(values):
        speech = Padded(values, source["speech"].length)
        condition = MODULE.apply(variables, {**source, "speech": speech}, KEEP)
        return condition.channels.sum(axis=(2, 3, 4))[0]

    jacobian = jax.jit(jax.jacobian(frames))(source["speech"].values)
    reached = np.abs(jacobian[:, 0]).max(axis=-1) > 1e-4
    expected = np.repeat(np.eye(FRAMES, dtype=bool), 2, axis=1)
    expected[:, LENGTH[0] :] = False
    np.testing.assert_array_equal(reached, expected)


def test_frames_predicted_hear_their_speech_and_no_padding():
    network = SpaceTimeDiTOptions(
        patch=2, patch_time=2, width=8, num_layers=1, num_heads=2
    )
    regression = Regression(SOURCE, CLIP, network, CONDITIONING)
    source = random_source(0)
    keys = jax.random.split(jax.random.key(0), 2)
    variables = random_variables(regression.module, source)

    @jax.jit
    def gradients(frame):
        def square(values):
            speech = Padded(values, source["speech"].length)
            y = regression.predict(variables, {**source, "speech": speech})
            return jnp.square(jnp.take(y, frame, axis=1)).sum()

        return jax.grad(square)(source["speech"].values)

    for frame in (0, 3):
        size = np.abs(gradients(frame)).max(axis=-1)
        assert size[:, 2 * frame].min() > 1e-5
        assert not size[0, LENGTH[0] :].any()
    y = jax.jit(regression.sample)(variables, keys, source)
    np.testing.assert_array_equal(y.length, [4, 6])
    assert not np.asarray(y.values)[0, 4:].any()


@pytest.mark.parametrize(
    ("source_space", "message"),
    [
        (SPEECH, r"needs a Record, not Array\(12, 5, padded\): use 'automatic'"),
        (
            Record((*SOURCE.fields, ("name", Category(3)))),
            r"name is Category\(3\): use 'record'",
        ),
        (
            Record((("text", Tokens(3, 5)), *SOURCE.fields)),
            r"text is Tokens\(3 of 5\): use 'record'",
        ),
    ],
)
def test_source_that_is_not_over_frames_raises_value_error(source_space, message):
    with pytest.raises(ValueError, match=message):
        CONDITIONING.module(source_space, CLIP, 8, jnp.float32)
