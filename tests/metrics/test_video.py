import itertools

import numpy as np
import pytest

from regen_jax.metrics.video import match_parts, warping_error


def matched(digits, motions, true_digits, true_motions):
    rows = [np.array([row]) for row in (digits, motions, true_digits, true_motions)]
    hits = match_parts(*rows)
    return hits.digits[0].tolist(), hits.motions[0].tolist()


@pytest.mark.parametrize(
    "digits, motions, hit_digits, hit_motions",
    [
        ([3, 7], [0, 8], [True, True], [True, True]),
        ([7, 3], [8, 0], [True, True], [True, True]),
        # The right digits with one another's motions.
        ([3, 7], [8, 0], [True, True], [False, False]),
        ([3, 5], [0, 8], [True, False], [True, True]),
        ([5, 3], [0, 8], [True, False], [False, False]),
        # No digit is right: motions alone are matched.
        ([1, 2], [8, 0], [False, False], [True, True]),
        ([1, 2], [8, 1], [False, False], [False, True]),
    ],
)
def test_two_parts_are_matched_in_any_order(digits, motions, hit_digits, hit_motions):
    assert matched(digits, motions, [3, 7], [0, 8]) == (hit_digits, hit_motions)


def test_missing_part_is_no_hit():
    assert matched([4, -1], [2, -1], [4, -1], [2, -1]) == ([True, False], [True, False])
    assert matched([5, -1], [2, -1], [4, -1], [2, -1]) == (
        [False, False],
        [True, False],
    )


def test_matches_of_a_batch_are_those_of_each_clip():
    random = np.random.default_rng(0)
    rows = [random.integers(0, 3, (50, 2)) for _ in range(4)]
    hits = match_parts(*rows)
    for number, row in enumerate(zip(*rows, strict=True)):
        each = matched(*row)
        assert (hits.digits[number].tolist(), hits.motions[number].tolist()) == each


@pytest.fixture
def texture():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 1)).astype(np.uint8)


def test_clip_that_moves_by_whole_pixels_has_no_error_within(texture):
    frames = [texture[20 - 2 * t :][:32, 10 + 3 * t :][:, :32] for t in range(5)]
    inside = np.stack(frames)[None]
    # New pixels come in from the border alone: 2 rows and 3 columns of 32.
    error = warping_error(inside)[0]
    assert 0 < error < warping_error(inside[:, ::2])[0]
    still = np.stack([texture[:32, :32]] * 4)[None]
    assert warping_error(still)[0] == 0


def test_error_is_that_of_the_best_block_by_brute_force():
    random = np.random.default_rng(1)
    clips = random.integers(0, 256, (2, 3, 8, 8, 1)).astype(np.uint8)
    expected = []
    for clip in clips.astype(float):
        total = 0
        for before, after in itertools.pairwise(clip):
            padded = np.pad(before[..., 0], 2, mode="edge")
            for row, column in np.ndindex(2, 2):
                block = after[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, 0]
                total += min(
                    np.sum((padded[r : r + 4, c : c + 4] - block) ** 2)
                    for r in range(4 * row, 4 * row + 5)
                    for c in range(4 * column, 4 * column + 5)
                )
        expected.append(np.sqrt(total / (2 * 64)) / 255)
    error = warping_error(clips, block=4, radius=2)
    np.testing.assert_allclose(error, expected, rtol=1e-5)


def test_flicker_has_a_large_error():
    frames = np.zeros((1, 6, 16, 16, 1), np.uint8)
    frames[:, ::2] = 255
    assert warping_error(frames)[0] == pytest.approx(1.0)
