"""Predictions by rules, and metrics of frames, against closed forms."""

import numpy as np
import pytest
from scipy import ndimage

from regen_jax.metrics import frame_prediction as metrics

RNG = np.random.default_rng(0)


def moving(velocity, num_frames, size=40):
    """A smooth bright spot of 8 x 8 pixels on black, which moves by pixels per frame."""
    spot = np.zeros((size, size))
    spot[8:16, 8:16] = 60 + 150 * RNG.random((8, 8))
    frames = [
        ndimage.shift(spot, t * np.array(velocity), order=1) for t in range(num_frames)
    ]
    return np.rint(frames).astype(np.uint8)[None, ..., None]


def test_errors_equal_those_of_numpy():
    y, other = RNG.integers(256, size=(2, 3, 4, 12, 12, 1), dtype=np.uint8)
    expected = ((y.astype(float) - other) ** 2).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(metrics.mean_squared_errors(y, other), expected)


def test_similarity_is_one_for_equal_frames_and_falls_with_noise():
    y = np.repeat(moving((0, 0), 2), 2, axis=0)
    noisy = y.copy()
    noise = RNG.integers(30, size=y[1].shape, dtype=np.uint8)
    noisy[1] = np.minimum(noisy[1], 220) + noise
    same, different = metrics.structural_similarities(y, noisy)
    assert same == pytest.approx(1) and different < 0.9


def test_similarity_of_constant_frames_has_closed_form():
    """Without variance it is (2 a b + c) / (a² + b² + c), c = (0.01 · 255)²."""
    y, other = (np.full((1, 1, 12, 12, 3), value, np.uint8) for value in (100, 120))
    constant = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + constant) / (100**2 + 120**2 + constant)
    similarity = metrics.structural_similarities(y, other)
    np.testing.assert_allclose(similarity, expected, rtol=1e-6)


def test_copy_repeats_the_last_frame():
    clip = moving((1, 0), 4)
    copied = metrics.copy_last(clip, 3)
    assert copied.shape == (1, 3, 40, 40, 1)
    assert (copied == clip[:, -1:]).all()


@pytest.mark.parametrize("velocity", [(0, 0), (1, 2), (-1, 0), (0.5, 1.25)], ids=str)
def test_linear_motion_continues_a_constant_motion(velocity):
    clip = moving(velocity, 8)
    predicted = metrics.linear_motion(clip[:, :3], 5)
    assert predicted.shape == (1, 5, 40, 40, 1) and predicted.dtype == np.uint8
    error = metrics.mean_squared_errors(clip[:, 3:], predicted)
    copied = metrics.mean_squared_errors(clip[:, 3:], metrics.copy_last(clip[:, :3], 5))
    assert error <= 0.12 * copied


def test_still_frames_with_noise_do_not_move():
    clip = np.full((1, 2, 16, 16, 3), 100, np.uint8)
    clip[:, 1] += RNG.integers(2, size=clip[:, 1].shape, dtype=np.uint8)
    np.testing.assert_array_equal(
        metrics.linear_motion(clip, 2), metrics.copy_last(clip, 2)
    )


def test_linear_motion_of_one_frame_copies_it():
    clip = moving((1, 1), 1)
    np.testing.assert_array_equal(
        metrics.linear_motion(clip, 2), metrics.copy_last(clip, 2)
    )
