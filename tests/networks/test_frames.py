import numpy as np
import pytest

from regen_jax.networks.frames import (
    depth_to_time,
    fold_frames,
    pad_front,
    time_to_depth,
    unfold_frames,
)

CLIP = np.arange(2 * 4 * 3 * 2 * 2).reshape(2, 4, 3, 2, 2)


def test_depth_to_time_inverts_time_to_depth():
    pairs = time_to_depth(CLIP)
    for pair in range(2):
        np.testing.assert_array_equal(pairs[:, pair, ..., :2], CLIP[:, 2 * pair])
        np.testing.assert_array_equal(pairs[:, pair, ..., 2:], CLIP[:, 2 * pair + 1])
    np.testing.assert_array_equal(depth_to_time(pairs), CLIP)


def test_unfold_frames_inverts_fold_frames():
    frames = fold_frames(CLIP)
    np.testing.assert_array_equal(frames[5], CLIP[1, 1])
    np.testing.assert_array_equal(unfold_frames(frames, 2), CLIP)


@pytest.mark.parametrize(("multiple", "missing"), [(1, 0), (2, 0), (3, 2), (8, 4)])
def test_padding_repeats_the_first_frame(multiple, missing):
    padded = pad_front(CLIP, multiple)
    assert padded.shape[1] == 4 + missing
    np.testing.assert_array_equal(padded[:, missing:], CLIP)
    for frame in range(missing):
        np.testing.assert_array_equal(padded[:, frame], CLIP[:, 0])
