"""Trajectories against motion that is known, as it was drawn."""

import jax
import numpy as np
import pytest
from PIL import Image

from regen_jax.abstractions.video import trajectory
from regen_jax.abstractions.video.trajectory import Trajectory
from regen_jax.data.builders.digits.builder import digits_file, read_digits
from regen_jax.data.builders.moving_digits.builder import crop
from regen_jax.modalities.video import motion
from regen_jax.modalities.video.captions import MOTIONS
from regen_jax.spaces import Array, Tokens

SPACE = Array((16, 32, 32, 1), 0.0, 255.0, step=1.0)
TRAJECTORY = Trajectory(SPACE)


@pytest.fixture(scope="module")
def digits():
    """Digits of 14 pixels, one of each class."""
    images, labels = read_digits(digits_file())
    rows = [int(np.flatnonzero(labels == digit)[5]) for digit in range(10)]
    large = [Image.fromarray(crop(images[row])) for row in rows]
    return [np.asarray(d.resize((d.width // 2, d.height // 2))) for d in large]


def drawn(pictures, tracks):
    return motion.render(pictures, tracks)[..., None]


def centers(y_prime, part):
    """Rows and columns f32[T, 2] in pixels."""
    return (y_prime[:16, part, trajectory.ROW : trajectory.COLUMN + 1] + 1) * 31 / 2


def decoded(y_prime):
    return np.asarray(jax.jit(TRAJECTORY.decode)({}, y_prime[None]))[0]


@pytest.mark.parametrize("number", range(len(MOTIONS)))
def test_trajectory_of_each_motion_equals_the_drawn_one(digits, number):
    picture = digits[number]
    track = motion.draw_track(number, picture.shape, np.random.RandomState(number))
    clip = drawn([picture], [track])
    y_prime = TRAJECTORY.extract(clip, {})
    assert (y_prime[:16, 0, trajectory.PRESENCE] == 1).all()
    assert (y_prime[:16, 1, trajectory.PRESENCE] == -1).all()
    ink = np.where(picture >= 32, picture, 0).astype(float)
    middle = [
        np.average(np.arange(n), weights=ink.sum(axis=1 - a))
        for a, n in enumerate(picture.shape)
    ]
    np.testing.assert_allclose(centers(y_prime, 0), track + middle, atol=1e-4)
    velocity = y_prime[:16, 0, trajectory.ROW_VELOCITY : trajectory.SCALE] * 8
    np.testing.assert_allclose(velocity, np.gradient(track, axis=0), atol=1e-4)
    np.testing.assert_array_equal(np.rint(decoded(y_prime)), clip)


def test_two_parts_apart_are_ordered_from_the_left_and_drawn_exactly(digits):
    frames = np.arange(16)
    left = np.stack([frames, 0 * frames], axis=1)
    right = np.stack([17 - frames, 17 + 0 * frames], axis=1)
    clip = drawn([digits[3], digits[7]], [right, left])
    y_prime = TRAJECTORY.extract(clip, {})
    first, second = centers(y_prime, 0), centers(y_prime, 1)
    np.testing.assert_allclose(first - first[0], left - left[0], atol=1e-4)
    np.testing.assert_allclose(second - second[0], right - right[0], atol=1e-4)
    np.testing.assert_array_equal(np.rint(decoded(y_prime)), clip)


def test_parts_that_cross_are_followed(digits):
    frames = np.arange(16)
    across = np.stack([8 + 0 * frames, frames + 1], axis=1)
    down = np.stack([frames + 1, 17 + 0 * frames], axis=1)
    clip = drawn([digits[1], digits[4]], [across, down])
    y_prime = TRAJECTORY.extract(clip, {})
    first, second = centers(y_prime, 0), centers(y_prime, 1)
    np.testing.assert_allclose(first - first[0], across - across[0], atol=0.1)
    np.testing.assert_allclose(second - second[0], down - down[0], atol=0.1)
    assert np.abs(decoded(y_prime) - clip).mean() < 1


def test_scale_of_a_growing_disk_is_found_and_drawn():
    rows, columns = np.mgrid[:32, :32]
    radii = np.linspace(4, 7, 16)
    distance = np.hypot(rows - 15, columns - 16)
    # Smooth borders, so that sizes between whole pixels show.
    disks = np.clip(radii[:, None, None] - distance + 0.5, 0, 1)
    clip = np.rint(255 * disks).astype(np.uint8)[..., None]
    y_prime = TRAJECTORY.extract(clip, {})
    scale = (y_prime[:16, 0, trajectory.SCALE] + 1) * 8
    # The root mean squared radius of a disk.
    np.testing.assert_allclose(scale, radii / np.sqrt(2), rtol=0.03)
    np.testing.assert_allclose(centers(y_prime, 0), [[15, 16]] * 16, atol=1e-3)
    assert np.abs(decoded(y_prime) - clip).mean() < 1.5


def test_consistency_compares_centers(digits):
    tracks = [np.full((16, 2), 9), np.full((16, 2), 11)]
    clips = np.stack([drawn([digits[2]], [track]) for track in tracks])
    y_prime = np.stack([TRAJECTORY.extract(clip, {}) for clip in clips])
    same = TRAJECTORY.consistency_metrics({}, clips, y_prime)
    assert same == {"parts_accuracy": 1.0, "center_error": 0.0}
    other = TRAJECTORY.consistency_metrics({}, clips, y_prime[::-1])
    assert other["center_error"] == pytest.approx(2 * np.sqrt(2), rel=1e-5)


def test_black_clip_has_no_parts():
    clip = np.zeros(SPACE.shape, np.uint8)
    y_prime = TRAJECTORY.extract(clip, {})
    assert y_prime.shape == TRAJECTORY.output_space.shape == (32, 2, 16)
    np.testing.assert_array_equal(decoded(y_prime), clip)


@pytest.mark.parametrize(
    "space, options, message",
    [
        (Tokens(3, 4), {}, "needs an Array of clips with bounds"),
        (Array((4, 8, 8, 3), 0, 255), {}, "needs an Array of clips with bounds"),
        (Array((4, 8, 8, 1)), {}, "needs an Array of clips with bounds"),
        (SPACE, {"side": 5}, "side must be at least 6, the values of a state, not 5"),
        (SPACE, {"parts": 0}, "parts must be at least 1"),
        (SPACE, {"threshold": 300.0}, "at most the range 255 of pixels, not 300$"),
    ],
)
def test_invalid_option_raises_value_error(space, options, message):
    with pytest.raises(ValueError, match=message):
        Trajectory(space, **options)
