"""Frames as a source, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.config.assembly import join_arrows
from regen_jax.errors import UserError
from regen_jax.generators.regression import Regression
from regen_jax.modalities.video.block_motion import block_motion, moved_on
from regen_jax.networks.conditioning import frames
from regen_jax.networks.conditioning.frames import FramesConditioning
from regen_jax.networks.conv.unet import UNetOptions
from regen_jax.spaces import Array

X, Y = Array((3, 8, 8, 2), 0, 255), Array((5, 8, 8, 2), 0, 255)


def clip(count=1, space=X):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (count, *space.shape)).astype(np.float32)


def condition(source, target_space, *, drop=None, step=1):
    module = FramesConditioning(step).module(X, target_space, 4, jnp.float32)
    drop_shape = None if drop is None else jnp.zeros(len(source), bool)
    init, apply = jax.jit(module.init), jax.jit(module.apply)
    variables = init(jax.random.key(0), source, drop_shape)
    return apply(variables, source, drop)


@pytest.mark.parametrize(
    "num_given, num_targets, expected",
    [
        (3, 5, [[0], [1], [2], [0], [1]]),
        (4, 2, [[0, 2], [1, 3]]),
        (3, 2, [[0, 2], [1, 0]]),
        (2, 1, [[0, 1]]),
    ],
)
def test_all_frames_are_spread_over_the_target(num_given, num_targets, expected):
    assigned = frames.assign_source_frames(num_given, num_targets)
    np.testing.assert_array_equal(assigned, expected)


def test_change_is_the_root_mean_square_of_a_window():
    x = clip()[:, :, :7] / 127.5 - 1
    squares = (np.diff(x, axis=1) ** 2).mean(axis=(1, 4))
    scale = np.asarray(frames.change_scale(jnp.asarray(x), 5))
    assert scale.shape == (1, 7, 8, 1)
    expected = np.sqrt(squares[0, 1:6, 2:7].mean() + 0.01**2)
    assert scale[0, 3, 4, 0] == pytest.approx(expected, rel=1e-5)
    still = frames.change_scale(jnp.ones((1, 3, 7, 8, 2)), 5)
    np.testing.assert_allclose(still, 0.01, rtol=1e-5)
    whole = frames.change_scale(jnp.asarray(x), 0)
    np.testing.assert_allclose(whole, np.sqrt(squares.mean() + 0.01**2), rtol=1e-5)


def test_channels_are_the_last_frame_and_differences_from_it():
    source = clip()
    x = source / 127.5 - 1
    scale = np.asarray(frames.change_scale(jnp.asarray(x), 5))
    channels = np.asarray(condition(source, Y).channels)
    assert channels.shape == (1, 5, 8, 8, 5)
    for t, given in enumerate((0, 1, 2, 0, 1)):
        expected = x[:, 2] if given == 2 else (x[:, given] - x[:, 2]) / scale
        np.testing.assert_allclose(channels[:, t, ..., :2], expected, atol=1e-4)
        np.testing.assert_allclose(channels[:, t, ..., 4:], np.log(scale), atol=1e-4)


@pytest.mark.parametrize("step, times", [(1, [1, 2, 3, 4, 5]), (4, [2.5, 6.5])])
def test_channels_have_the_last_frame_moved_on(step, times):
    source, space = clip(), Array((len(times), 8, 8, 2), 0, 255)
    x = source / 127.5 - 1
    channels = condition(source, space, step=step).channels
    motion = block_motion(*((x[:, i] + 1) / 2 for i in (-2, -1)))
    expected = moved_on(x[:, -1], motion, np.float32(times)) - x[:, -1:]
    scale = frames.change_scale(jnp.asarray(x), 5)[:, None]
    moved = channels[..., -3:-1] * scale
    np.testing.assert_allclose(moved, expected, atol=1e-4)


def test_pixels_of_a_block_are_channels_of_latents():
    source = clip()
    channels = np.asarray(condition(source, Array((3, 4, 2, 7))).channels)
    # Two by four pixels of two channels, and the level of change.
    assert channels.shape == (1, 3, 4, 2, 2 * (2 * 4 * 2) + 1)
    last = channels[0, 2, 1, 0, :16].reshape(2, 4, 2)
    np.testing.assert_allclose(last, source[0, 2, 2:4, :4] / 127.5 - 1, atol=1e-5)


def test_dropped_frames_are_not_seen():
    source = clip(2)
    given = condition(source, Y, drop=jnp.array([False, True]))
    assert np.any(given.channels[0]) and not np.any(given.channels[1])
    assert np.any(given.vector[1]) and not np.any(given.vector[0])


@pytest.mark.parametrize("shape", [(5, 8, 8, 2), (2, 4, 4, 2)], ids=str)
def test_estimate_is_the_last_frame_at_the_resolution_of_the_target(shape):
    source, space = clip(), Array(shape, 0, 255)
    estimate = FramesConditioning().estimate(X, space, source)
    side = 8 // shape[1]
    last = (source[0, -1] / 127.5 - 1).reshape(shape[1], side, shape[2], side, 2)
    expected = np.broadcast_to(last.mean(axis=(1, 3)), shape)
    np.testing.assert_allclose(estimate.mean[0], expected, atol=1e-5)
    assert jnp.broadcast_shapes(estimate.scale.shape, (1, *shape)) == (1, *shape)


def test_target_in_other_units_has_no_estimate():
    conditioning = FramesConditioning()
    assert conditioning.estimate(X, Array((5, 4, 4, 2)), clip()) is None
    assert conditioning.estimate(X, Array((5, 4, 4, 3), 0, 255), clip()) is None


@pytest.mark.parametrize(
    "source_space, target_space",
    [
        (Array((1, 8, 8, 2), 0, 1), Y),
        (Array((8, 8, 2), 0, 1), Y),
        (X, Array((8, 8, 2), 0, 1)),
        (X, Array((5, 3, 8, 2), 0, 1)),
        (Array((3, 8, 8, 2), 0, 1, padded=True), Y),
    ],
)
def test_unsuitable_spaces_raise_value_error(source_space, target_space):
    with pytest.raises(ValueError, match="needs a source .* of two frames or more"):
        FramesConditioning().module(source_space, target_space, 4, jnp.float32)


def test_even_window_raises_value_error():
    with pytest.raises(ValueError, match="window must be odd, or 0, not 4"):
        FramesConditioning(window=4)


@pytest.mark.parametrize(
    "frames, targets, fitting, other",
    [(8, 8, 1, 2), (8, 2, 4, 8), (7, 4, 2, 3), (9, 3, 4, 5), (5, 2, 3, 2)],
)
def test_frames_per_target_must_fit_those_of_y(frames, targets, fitting, other):
    y_space, target_space = (Array((t, 8, 8, 2), 0, 255) for t in (frames, targets))
    FramesConditioning(fitting).check_abstracted(target_space, y_space)
    with pytest.raises(ValueError, match="conditioning.frames_per_target must be"):
        FramesConditioning(other).check_abstracted(target_space, y_space)


def test_config_of_other_frames_per_target_raises_user_error():
    prior = {"name": "regression", "network": {"name": "unet", "widths": (4,)}}
    prior["conditioning"] = {"name": "frames", "frames_per_target": 9}
    parts = {"abstraction": "keyframes", "decoder": "regression"}
    config = {"prior": prior} | {part: {"name": name} for part, name in parts.items()}
    y = Array((8, 8, 8, 2), 0, 255)
    with pytest.raises(UserError) as caught:
        join_arrows(config, "config", X, y, "the task")
    assert str(caught.value) == (
        "config.prior: conditioning.frames_per_target must be 4, for Y′ of 2 frames and "
        "Y of 8, not 9"
    )
    prior["conditioning"]["frames_per_target"] = 4
    join_arrows(config, "config", X, y, "the task")


def test_regression_on_frames_starts_by_copying_the_last():
    network = UNetOptions(widths=(4,), width=4)
    generator = Regression(X, Y, network, FramesConditioning())
    variables = jax.jit(generator.init)(jax.random.key(0))
    source, keys = clip(2), jax.random.split(jax.random.key(0), 2)
    y = np.asarray(jax.jit(generator.sample)(variables, keys, source))
    np.testing.assert_allclose(y, np.repeat(source[:, -1:], 5, axis=1), atol=1e-3)
