import numpy as np
import pytest

from regen_jax.data.builders import tune_similarity

# Quarter notes, with repeated ones, of a tune in 4/4 and of one that shares no phrase.
TUNE = [67, 67, 74, 71, 69, 67, 67, 69, 71, 72, 71, 69, 67, 71, 74, 76, 74, 72, 71, 69]
OTHER = [60, 65, 64, 60, 62, 57, 65, 62, 70, 67, 64, 72, 65, 58, 63, 60, 67, 59, 68, 60]


def notes(pitches, durations=None):
    durations = np.array(durations or [4] * len(pitches))
    return np.stack([np.cumsum(durations) - durations, durations, pitches], axis=1)


def with_passing_notes(pitches):
    """Makes every second quarter note two eighths, of which one is a passing note."""
    varied, durations = [], []
    for index, pitch in enumerate(pitches):
        varied += [pitch, pitch + 1] if index % 2 else [pitch]
        durations += [2, 2] if index % 2 else [4]
    return notes(varied, durations)


def test_skeleton_has_the_intervals_between_beats():
    # A dotted quarter and an eighth, a note tied over two beats, two sixteenths.
    line = notes([60, 62, 64, 64, 67, 69, 65], [6, 2, 8, 4, 1, 3, 4])
    assert tune_similarity.skeleton(line, 4).tolist() == [4, 3, -2]
    assert tune_similarity.skeleton(line[:1], 4).tolist() == []
    assert tune_similarity.skeleton(line[:0], 4).tolist() == []


@pytest.mark.parametrize(
    "variant, beat",
    [
        (notes(np.array(TUNE) - 5), 4),
        (with_passing_notes(TUNE), 4),
        (notes(TUNE, [8, 4] * 10), 4),
        (notes(TUNE, [8] * 20), 8),
        (notes(TUNE + TUNE), 4),
    ],
    ids=["transposed", "passing notes", "in 3/4", "in 4/2", "played twice"],
)
def test_variants_of_a_tune_have_similarity_1(variant, beat):
    tune, other = (
        tune_similarity.skeleton(notes(TUNE), 4),
        tune_similarity.skeleton(variant, beat),
    )
    assert tune_similarity.similarities(tune, [other]) == [1]
    assert tune_similarity.similarities(other, [tune]) == [1]


def test_changed_and_missing_intervals_lower_similarity():
    tune = np.array([2, 3, -1, 4, -5, 2, 1, 3, -2, -4])
    differs, lacks, tail = tune.copy(), np.delete(tune, 5), tune[6:]
    differs[5] = 7
    similarities = tune_similarity.similarities(
        tune, [differs, lacks, tail, tail[:0], -9 * tune]
    )
    # A gap on each side costs more than an interval that differs.
    np.testing.assert_allclose(similarities, [0.8, (9 - 0.7) / 9, 1, 0, 0], atol=1e-12)


def test_similarity_equals_smith_and_waterman_cell_by_cell():
    """On random tunes that share intervals by chance."""
    random = np.random.default_rng(0)
    tunes = [random.integers(-2, 3, size) for size in (12, 7, 20, 1)]
    for a in tunes:
        expected = []
        for b in tunes:
            cells = np.zeros((len(a) + 1, len(b) + 1))
            for i, x in enumerate(a, 1):
                for j, y in enumerate(b, 1):
                    agree = cells[i - 1, j - 1] + (1 if x == y else -1)
                    left_out = max(cells[i - 1, j], cells[i, j - 1]) - 0.7
                    cells[i, j] = max(agree, left_out, 0)
            expected.append(cells.max() / min(len(a), len(b)))
        np.testing.assert_allclose(
            tune_similarity.similarities(a, tunes), expected, atol=1e-9
        )


def test_similar_tunes_are_grouped_in_chains():
    tune = tune_similarity.skeleton(notes(TUNE), 4)
    other = tune_similarity.skeleton(notes(OTHER), 4)
    joined = np.concatenate([tune, [9], other])
    melodies = [other, tune, -tune, joined, tune]
    assert tune_similarity.group(melodies, range(5), 0.9, 0.5) == [[0, 1, 3, 4], [2]]
    assert tune_similarity.group(melodies[:3], range(3), 0.9, 0.5) == [[0], [1], [2]]


def test_tunes_of_one_name_are_grouped_at_the_lower_threshold():
    tune = tune_similarity.skeleton(notes(TUNE), 4)
    half = np.concatenate([tune[:8], -tune[8:]])
    assert 0.4 < tune_similarity.similarities(tune, [half])[0] < 0.9
    assert tune_similarity.group([tune, half], ["a", "b"], 0.9, 0.4) == [[0], [1]]
    assert tune_similarity.group([tune, half], ["a", "a"], 0.9, 0.4) == [[0, 1]]
    assert tune_similarity.group([tune, half], ["a", "a"], 0.9, 0.9) == [[0], [1]]
