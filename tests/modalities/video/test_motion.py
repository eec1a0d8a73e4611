"""The rules of motion, checked on what is drawn."""

import numpy as np
import pytest

from regen_jax.modalities.video import motion
from regen_jax.modalities.video.captions import MOTIONS

SIZES = [(14, 14), (14, 4), (9, 14), (1, 14), (22, 22)]


def tracks(name, number=60):
    random = np.random.RandomState(0)
    return [
        (size, motion.draw_track(MOTIONS.index(name), size, random))
        for size in SIZES
        for _ in range(number)
    ]


@pytest.mark.parametrize("name", MOTIONS)
def test_picture_stays_within_the_clip_and_moves_on_one_axis(name):
    for size, track in tracks(name):
        assert track.shape == (16, 2)
        assert (track >= 0).all() and (track + size <= 32).all()
        moving = np.ptp(track, axis=0) > 0
        axes = {"left": 1, "right": 1, "up": 0, "down": 0}
        words = name.replace("falls", "down").split()
        expected = [axes[word] for word in words if word in axes]
        assert np.flatnonzero(moving).tolist() == expected


@pytest.mark.parametrize("name", MOTIONS[:4])
def test_straight_motion_has_a_constant_speed_and_direction(name):
    axis, sign = (
        (1 if name.split()[1] in ("left", "right") else 0),
        (-1 if name.split()[1] in ("left", "up") else 1),
    )
    for _, track in tracks(name):
        path = sign * track[:, axis]
        assert 10 <= path[-1] - path[0] <= 20
        line = np.linspace(path[0], path[-1], 16)
        assert np.abs(path - line).max() <= 0.5


@pytest.mark.parametrize("name", MOTIONS[4:8])
def test_bounce_touches_the_wall_once_and_comes_back_as_fast(name):
    direction = name.split()[1]
    axis = 1 if direction in ("left", "right") else 0
    for size, track in tracks(name):
        wall = 0 if direction in ("left", "up") else 32 - size[axis]
        gap = np.abs(track[:, axis] - wall)
        turn = int(np.argmin(gap))
        assert 5 <= turn <= 11 and gap[turn] <= 1.5
        assert (np.diff(gap[: turn + 1]) <= 0).all() and (
            np.diff(gap[turn:]) >= 0
        ).all()
        speeds = [np.polyfit(range(len(g)), g, 1)[0] for g in (gap[:6], gap[11:])]
        assert speeds[0] == pytest.approx(-speeds[1], abs=0.35)


def test_fall_accelerates_and_ends_on_the_floor():
    for size, track in tracks("falls"):
        rows = track[:, 0]
        assert rows[-1] + size[0] == 32 and rows[-1] - rows[0] >= 10
        landing = int(np.argmax(rows == rows[-1]))
        assert 9 <= landing <= 14
        # Constant acceleration: a parabola from rest, within rounding.
        fit = np.polyfit(np.arange(landing) ** 2, rows[:landing], 1)
        assert (
            np.abs(np.polyval(fit, np.arange(landing) ** 2) - rows[:landing]).max() < 1
        )


def test_two_pictures_overlap_least_of_the_draws():
    random = np.random.RandomState(0)
    sizes = [(14, 10), (14, 8)]
    drawn = [motion.draw_tracks([2, 8], sizes, random) for _ in range(50)]
    areas = [motion.overlap_area(pair, sizes) for pair in drawn]
    assert np.mean(np.array(areas) == 0) > 0.9
    still = [np.zeros((16, 2), int), np.full((16, 2), [4, 5])]
    assert motion.overlap_area(still, sizes) == 16 * 10 * 5


def test_rendered_picture_is_at_its_track_and_the_brighter_pixel_shows():
    pictures = [np.full((4, 6), 100, np.uint8), np.full((2, 2), 200, np.uint8)]
    moving = np.stack([np.arange(3), np.arange(3)], axis=1)
    frames = motion.render(pictures, [moving, np.full((3, 2), 1)], scale=2)
    assert frames.shape == (3, 64, 64)
    for number, frame in enumerate(frames):
        expected = np.zeros((64, 64), int)
        expected[2 * number : 2 * number + 4, 2 * number : 2 * number + 6] = 100
        expected[2:4, 2:4] = 200
        np.testing.assert_array_equal(frame, expected)
