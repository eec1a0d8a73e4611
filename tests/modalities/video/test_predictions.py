"""Predictions by rules, on motion that is known."""

import numpy as np
import pytest
from scipy import ndimage

from regen_jax.metrics.frame_prediction import mean_squared_errors
from regen_jax.modalities.video.predictions import copy_last, linear_motion

RNG = np.random.default_rng(0)


def moving(velocity, num_frames, size=40):
    """A smooth bright spot of 8 x 8 pixels on black, which moves by pixels per frame."""
    spot = np.zeros((size, size))
    spot[8:16, 8:16] = 60 + 150 * RNG.random((8, 8))
    frames = [
        ndimage.shift(spot, t * np.array(velocity), order=1) for t in range(num_frames)
    ]
    return np.rint(frames).astype(np.uint8)[None, ..., None]


def test_copy_repeats_the_last_frame():
    clip = moving((1, 0), 4)
    copied = copy_last(clip, 3)
    assert copied.shape == (1, 3, 40, 40, 1)
    assert (copied == clip[:, -1:]).all()


@pytest.mark.parametrize("velocity", [(0, 0), (1, 2), (-1, 0), (0.5, 1.25)], ids=str)
def test_linear_motion_continues_a_constant_motion(velocity):
    clip = moving(velocity, 8)
    predicted = linear_motion(clip[:, :3], 5)
    assert predicted.shape == (1, 5, 40, 40, 1) and predicted.dtype == np.uint8
    error = mean_squared_errors(clip[:, 3:], predicted)
    copied = mean_squared_errors(clip[:, 3:], copy_last(clip[:, :3], 5))
    assert error <= 0.12 * copied


def test_still_frames_with_noise_do_not_move():
    clip = np.full((1, 2, 16, 16, 3), 100, np.uint8)
    clip[:, 1] += RNG.integers(2, size=clip[:, 1].shape, dtype=np.uint8)
    np.testing.assert_array_equal(linear_motion(clip, 2), copy_last(clip, 2))


def test_linear_motion_of_one_frame_copies_it():
    clip = moving((1, 1), 1)
    np.testing.assert_array_equal(linear_motion(clip, 2), copy_last(clip, 2))
