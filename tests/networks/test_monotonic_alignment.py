"""Alignment search against all segmentations; rounded durations that fit."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.monotonic_alignment import (
    monotonic_path,
    path_from_durations,
    round_durations,
    upsample,
)

search = jax.jit(monotonic_path)


def best_path(scores: np.ndarray) -> np.ndarray:
    """Finds the best of all ways to cut T frames into S runs, by enumeration."""
    frames, positions = scores.shape
    paths = []
    for cuts in itertools.combinations(range(1, frames), positions - 1):
        path = np.zeros(scores.shape, bool)
        for s, run in enumerate(itertools.pairwise([0, *cuts, frames])):
            path[slice(*run), s] = True
        paths.append(path)
    return max(paths, key=lambda path: scores[path].sum())


def test_path_is_the_best_of_all_segmentations():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 7, 5)).astype(np.float32)
    positions = rng.integers(1, 6, 40)
    frames = np.array([rng.integers(least, 8) for least in positions])
    paths = search(scores, frames, positions)
    for i, (t, s) in enumerate(zip(frames, positions, strict=True)):
        np.testing.assert_array_equal(paths[i, :t, :s], best_path(scores[i, :t, :s]))
        assert paths[i].sum() == t


def test_scores_of_padding_do_not_change_the_path():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, 7, 5)).astype(np.float32)
    scores[1, :4, :3] = scores[0, :4, :3]
    scores[1, 4:] = 1e6
    path = search(scores, np.array([4, 4]), np.array([3, 3]))
    np.testing.assert_array_equal(path[0], path[1])


@pytest.mark.parametrize(
    ("frames", "positions", "num_aligned"), [(2, 4, 2), (3, 0, 0), (0, 3, 0), (0, 0, 0)]
)
def test_last_positions_get_no_frame_where_frames_are_fewer(
    frames, positions, num_aligned
):
    scores = np.random.default_rng(2).normal(size=(1, 4, 4)).astype(np.float32)
    path = search(scores, np.array([frames]), np.array([positions]))
    expected = np.zeros((4, 4), bool)
    np.fill_diagonal(expected[:num_aligned], True)
    np.testing.assert_array_equal(path[0], expected)


def test_upsample_repeats_positions_for_their_durations():
    x = np.random.default_rng(3).normal(size=(2, 3, 4)).astype(np.float32)
    durations = jnp.array([[2, 0, 3], [1, 4, 4]])
    y, lengths = upsample(x, durations, 6)
    np.testing.assert_array_equal(lengths, [5, 6])
    np.testing.assert_array_equal(y[0, :5], x[0].repeat([2, 0, 3], axis=0))
    np.testing.assert_array_equal(y[0, 5:], np.zeros((1, 4)))
    np.testing.assert_array_equal(y[1], x[1].repeat([1, 4, 1], axis=0))
    np.testing.assert_array_equal(
        path_from_durations(durations, 6)[0].sum(axis=0), durations[0]
    )


def test_rounded_durations_keep_ends_and_fit():
    durations = np.random.default_rng(4).uniform(0, 4, (30, 6)).astype(np.float32)
    positions = np.arange(30) % 7
    rounded = np.asarray(round_durations(durations, positions, 12))
    inside = np.arange(6) < positions[:, None]
    assert (rounded[inside] >= 1).all() and (rounded[~inside] == 0).all()
    totals = np.where(inside, np.maximum(durations, 1), 0).sum(axis=1)
    np.testing.assert_allclose(rounded.sum(axis=1), np.minimum(totals, 12), atol=0.5)
    roomy = np.asarray(round_durations(durations, positions, 100))
    assert np.abs(roomy - np.maximum(durations, 1))[inside].max() <= 1


def test_first_positions_get_one_frame_where_frames_are_fewer():
    rounded = round_durations(jnp.full((1, 5), 2.0), jnp.array([5]), 3)
    np.testing.assert_array_equal(rounded, [[1, 1, 1, 0, 0]])
