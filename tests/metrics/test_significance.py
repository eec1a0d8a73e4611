import math

import numpy as np
import pytest
import scipy

from regen_jax.metrics import text as text_metrics
from regen_jax.metrics.significance import compare_texts, paired_bootstrap


def systems(seed, number=400, gain=0.0):
    """Draws errors and words [N, 2] of two systems with the same difficult examples."""
    rng = np.random.default_rng(seed)
    words = rng.integers(1, 20, number)
    rate = rng.uniform(0.1, 0.5, number)
    errors = [rng.binomial(words, r) for r in (rate, rate * (1 - gain))]
    return [np.stack([counts, words], axis=1) for counts in errors]


def test_values_are_ratios_of_sums():
    baseline, system = np.array([[1, 2], [3, 8]]), np.array([[0, 2], [1, 6]])
    comparison = paired_bootstrap(baseline, system)
    assert (comparison.baseline, comparison.system) == (4 / 10, 1 / 8)
    assert comparison.difference == 1 / 8 - 4 / 10


def test_interval_equals_scipy():
    baseline, system = systems(seed=1, gain=0.1)

    def difference(e, f, words, axis):
        return (f.sum(axis) - e.sum(axis)) / words.sum(axis)

    expected = scipy.stats.bootstrap(
        (baseline[:, 0], system[:, 0], system[:, 1]),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    comparison = paired_bootstrap(baseline, system, num_resamples=4000)
    width = expected.high - expected.low
    assert comparison.low == pytest.approx(expected.low, abs=0.05 * width)
    assert comparison.high == pytest.approx(expected.high, abs=0.05 * width)
    assert comparison.low < comparison.difference < comparison.high


def test_accuracies_have_the_normal_approximation():
    """The difference of two accuracies is a mean, whose distribution is near normal."""
    rng = np.random.default_rng(3)
    hits = rng.random((2, 1000)) < [[0.5], [0.54]]
    baseline, system = (np.stack([row, np.ones(1000)], axis=1) for row in hits)
    comparison = paired_bootstrap(baseline, system, num_resamples=4000)
    differences = hits[1].astype(float) - hits[0]
    error = differences.std() / math.sqrt(1000)
    half = 1.96 * error
    assert comparison.high - comparison.difference == pytest.approx(half, rel=0.08)
    assert comparison.difference - comparison.low == pytest.approx(half, rel=0.08)
    p_value = math.erfc(abs(differences.mean()) / error / math.sqrt(2))
    assert comparison.p_value == pytest.approx(p_value, abs=0.02)


def test_swapped_systems_have_opposite_difference():
    baseline, system = systems(seed=4, gain=0.2)
    comparison, swapped = (
        paired_bootstrap(baseline, system),
        paired_bootstrap(system, baseline),
    )
    assert swapped.difference == -comparison.difference
    assert (swapped.low, swapped.high) == pytest.approx(
        (-comparison.high, -comparison.low)
    )
    assert swapped.p_value == comparison.p_value
    assert comparison == paired_bootstrap(baseline, system)


def test_equal_systems_do_not_differ():
    baseline, _ = systems(seed=5)
    comparison = paired_bootstrap(baseline, baseline)
    assert (comparison.difference, comparison.low, comparison.high) == (0, 0, 0)
    assert comparison.p_value == 1


def test_p_values_of_equal_systems_are_uniform():
    p_values = [
        paired_bootstrap(*systems(seed, number=100), num_resamples=200).p_value
        for seed in range(200)
    ]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.1
    assert 0.4 < np.mean(np.array(p_values) < 0.5) < 0.6


def test_clear_gains_are_significant():
    assert paired_bootstrap(*systems(seed=6, gain=0.5)).p_value == 1 / 1001


@pytest.mark.parametrize(
    "baseline, system, words",
    [
        (np.ones((2, 2)), np.ones((3, 2)), r"not \[2, 2\] and \[3, 2\]"),
        (np.ones((0, 2)), np.ones((0, 2)), "needs the same examples"),
        (np.zeros((2, 2)), np.zeros((2, 2)), "denominators whose sum is not 0"),
    ],
)
def test_unpaired_examples_raise_value_error(baseline, system, words):
    with pytest.raises(ValueError, match=words):
        paired_bootstrap(baseline, system)


REFERENCES = [
    "And God said, Let there be light, and there was light.",
    "Jesus wept for them all that day.",
    "The earth was waste and without form in the deep.",
    "He went up into the mountain and sat down there.",
] * 5
WORSE = [text.replace("and ", "") for text in REFERENCES]


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_texts_are_compared_by_corpus_scores(metric):
    score = getattr(text_metrics, metric)
    comparison = compare_texts(metric, REFERENCES, WORSE, REFERENCES, num_resamples=200)
    assert comparison.baseline == pytest.approx(score(REFERENCES, WORSE))
    assert comparison.system == pytest.approx(100)
    assert 0 < comparison.low < comparison.difference < comparison.high
    assert comparison.p_value < 0.01
    same = compare_texts(metric, REFERENCES, WORSE, WORSE, num_resamples=200)
    assert same.difference == 0 and same.p_value == 1


def test_unpaired_texts_raise_value_error():
    with pytest.raises(ValueError, match="not 1 and 2 for 2"):
        compare_texts("bleu", ["a", "b"], ["a"], ["a", "b"])
