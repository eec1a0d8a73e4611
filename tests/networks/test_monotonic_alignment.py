"""Alignment search against all segmentations; durations that are whole and fit."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from regen_jax.networks.monotonic_alignment import (
    monotonic_path,
    path_of,
    upsample,
    whole_durations,
)

search = jax.jit(monotonic_path)


def best_path(scores: np.ndarray) -> np.ndarray:
    """The best of all ways to cut T frames into S runs, by enumeration."""
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


def test_what_lies_beyond_the_lengths_does_not_matter():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, 7, 5)).astype(np.float32)
    scores[1, :4, :3] = scores[0, :4, :3]
    scores[1, 4:] = 1e6
    path = search(scores, np.array([4, 4]), np.array([3, 3]))
    np.testing.assert_array_equal(path[0], path[1])


@pytest.mark.parametrize(
    ("frames", "positions", "aligned"), [(2, 4, 2), (3, 0, 0), (0, 3, 0), (0, 0, 0)]
)
def test_more_positions_than_frames_leave_the_last_without(frames, positions, aligned):
    scores = np.random.default_rng(2).normal(size=(1, 4, 4)).astype(np.float32)
    path = search(scores, np.array([frames]), np.array([positions]))
    expected = np.zeros((4, 4), bool)
    np.fill_diagonal(expected[:aligned], True)
    np.testing.assert_array_equal(path[0], expected)


def test_upsampling_repeats_and_its_path_has_the_durations():
    x = np.random.default_rng(3).normal(size=(2, 3, 4)).astype(np.float32)
    durations = jnp.array([[2, 0, 3], [1, 4, 4]])
    y, lengths = upsample(x, durations, 6)
    np.testing.assert_array_equal(lengths, [5, 6])
    np.testing.assert_array_equal(y[0, :5], x[0].repeat([2, 0, 3], axis=0))
    np.testing.assert_array_equal(y[0, 5:], np.zeros((1, 4)))
    np.testing.assert_array_equal(y[1], x[1].repeat([1, 4, 1], axis=0))
    np.testing.assert_array_equal(path_of(durations, 6)[0].sum(axis=0), durations[0])


def test_whole_durations_round_ends_and_fit():
    durations = np.random.default_rng(4).uniform(0, 4, (30, 6)).astype(np.float32)
    positions = np.arange(30) % 7
    whole = np.asarray(whole_durations(durations, positions, 12))
    inside = np.arange(6) < positions[:, None]
    assert (whole[inside] >= 1).all() and (whole[~inside] == 0).all()
    totals = np.where(inside, np.maximum(durations, 1), 0).sum(axis=1)
    np.testing.assert_allclose(whole.sum(axis=1), np.minimum(totals, 12), atol=0.5)
    roomy = np.asarray(whole_durations(durations, positions, 100))
    assert np.abs(roomy - np.maximum(durations, 1))[inside].max() <= 1


def test_more_positions_than_frames_get_a_frame_each_while_there_are_any():
    whole = whole_durations(jnp.full((1, 5), 2.0), jnp.array([5]), 3)
    np.testing.assert_array_equal(whole, [[1, 1, 1, 0, 0]])
