"""Motion of blocks of frames that were moved by known amounts."""

import numpy as np
import pytest
from scipy import ndimage

from regen_jax.modalities.video.block_motion import block_motion, moved_on

RNG = np.random.default_rng(0)


def test_motion_of_every_block_is_found():
    texture = RNG.random((1, 28, 36, 3)).astype(np.float32)
    before, after = texture[:, 4:28, 4:34], texture[:, 2:26, 5:35]
    motion = np.asarray(block_motion(before, after))
    assert motion.shape == (1, 3, 4, 2)
    # What is in a row of `before` is two rows lower in `after`.
    inner = motion[:, 1:, :-1]
    np.testing.assert_allclose(inner, np.broadcast_to((2, -1), inner.shape), atol=0.05)


@pytest.mark.parametrize("shift", [(0.5, 0), (0, -1.25)], ids=str)
def test_fractions_of_a_pixel_are_found(shift):
    smooth = ndimage.gaussian_filter(RNG.random((24, 24)), 2) * 10
    after = ndimage.shift(smooth, shift, order=3, mode="nearest")
    before, after = (np.float32(f)[None, ..., None] for f in (smooth, after))
    motion = np.asarray(block_motion(before, after))
    # The axes are searched one by one: the other one may be off by a quarter.
    axis = int(np.argmax(np.abs(shift)))
    np.testing.assert_allclose(motion[0, 1, 1, axis], shift[axis], atol=0.1)
    np.testing.assert_allclose(motion[0, 1, 1], shift, atol=0.25)


def test_noise_of_a_gray_level_does_not_move():
    noise = RNG.integers(2, size=(2, 1, 16, 16, 3)).astype(np.float32)
    before, after = (100 + noise) / 255
    assert not np.any(block_motion(before, after))


def test_pixels_move_on_by_their_motion():
    frame = RNG.random((2, 16, 16, 1)).astype(np.float32)
    motion = np.broadcast_to(np.float32([1, -0.5]), (2, 2, 2, 2))
    moved = np.asarray(moved_on(frame, motion, np.float32([1, 2])))
    assert moved.shape == (2, 2, 16, 16, 1)
    expected = (frame[:, :-1, :-1] + frame[:, :-1, 1:]) / 2
    np.testing.assert_allclose(moved[:, 0, 1:, :-1], expected, atol=1e-5)
    np.testing.assert_allclose(moved[:, 1, 2:, :-1], frame[:, :-2, 1:], atol=1e-5)
    # At the border, what comes from outside is the pixel there.
    np.testing.assert_allclose(
        moved[:, 1, :2, 0], frame[:, :1, 1].repeat(2, 1), atol=1e-5
    )
