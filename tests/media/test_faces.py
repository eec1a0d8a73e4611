"""Clips of faces as videos, strips of frames and curves of tracks."""

import numpy as np
import pytest

from regen_jax.media.faces import render_clips
from regen_jax.spaces import Padded

ORANGE, BLUE = (214, 88, 40), (40, 104, 178)


@pytest.mark.parametrize("number", [1, 3])
def test_each_track_has_a_panel_with_the_curve_of_each_version(number):
    clips = Padded(
        np.zeros((number, 9, 6, 6, 3), np.uint8), np.array([7, 9, 5])[:number]
    )
    low, high = np.zeros((2, number, 9, 7), np.float32)
    # Widths and poses are in [-1, 1], the others in [0, 1].
    low[..., [1, 4, 5, 6]] = -1
    high += 1
    versions = {"sample": clips, "reference": clips}
    media = render_clips("sample", versions, {"sample": low, "reference": high}, 25)
    assert list(media.videos) == [f"sample_{i}" for i in range(number)]
    assert [len(v.frames) for v in media.videos.values()] == [7, 9, 5][:number]
    first = media.images["sample_mouth"][32:, : 6 + 506]  # Without the legend.
    bottom, top = (np.all(first == color, axis=-1) for color in (ORANGE, BLUE))
    assert {count_runs(bottom), count_runs(top)} == {7 * -(-number // 2)}
    assert np.nonzero(top)[0].min() < np.nonzero(bottom)[0].min()


def test_clips_without_tracks_are_videos_and_in_no_picture():
    clips = Padded(np.zeros((3, 9, 6, 6, 3), np.uint8), np.array([7, 9, 5]))
    first = Padded(clips.values[:1], clips.length[:1])
    tracks = {"sample": np.zeros((1, 9, 7), np.float32)}
    media = render_clips("sample", {"sample": clips}, tracks, 25)
    assert list(media.videos) == ["sample_0", "sample_1", "sample_2"]
    alone = render_clips("sample", {"sample": first}, tracks, 25)
    for name, picture in alone.images.items():
        np.testing.assert_array_equal(media.images[name], picture)


def count_runs(mask):
    """Counts groups of rows with a line that is as long as a panel, 400 pixels."""
    rows = mask.sum(axis=1) > 390
    return int(np.sum(np.diff(rows.astype(int), prepend=0) == 1))
