import functools

import numpy as np
import pytest

from regen_jax.metrics import error_rates


def edits(a, b):
    """Computes the Levenshtein distance by its recursion."""

    @functools.cache
    def best(i, j):
        if not i or not j:
            return i + j
        substituted = best(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(substituted, best(i - 1, j) + 1, best(i, j - 1) + 1)

    return best(len(a), len(b))


def corpus(symbols, seed=0):
    rng = np.random.default_rng(seed)

    def sequences():
        return [
            [symbols[i] for i in rng.integers(len(symbols), size=rng.integers(0, 7))]
            for _ in range(12)
        ]

    return sequences(), sequences()


def test_token_error_rate_equals_recursion():
    references, hypotheses = corpus(("ˈæ", "æ", "s", 4))
    total = sum(map(edits, references, hypotheses))
    rate = error_rates.token_error_rate(references, hypotheses)
    assert rate == pytest.approx(total / sum(map(len, references)))


def test_nearest_edits_use_the_nearest_reference():
    first, hypotheses = corpus(("a", "b", "c"))
    second, third = corpus(("a", "b", "c"), seed=1)
    references = list(zip(first, second, third, strict=True))
    rows = error_rates.nearest_edits(references, hypotheses)
    for several, hypothesis, row in zip(references, hypotheses, rows, strict=True):
        # `min` returns the first of equally near references, like `nearest_edits`.
        nearest = min(several, key=lambda text, other=hypothesis: edits(text, other))
        assert row.tolist() == [edits(nearest, hypothesis), len(nearest)]
    with pytest.raises(ValueError, match="not empty"):
        error_rates.nearest_edits([[]], ["a"])


def test_word_and_character_error_rates_are_of_the_corpus():
    references, hypotheses = (
        [" ".join(words) for words in side] for side in corpus(("a", "bc", "d e", "ff"))
    )
    words = [[text.split() for text in side] for side in (references, hypotheses)]
    assert error_rates.word_error_rate(references, hypotheses) == pytest.approx(
        error_rates.token_error_rate(*words)
    )
    assert error_rates.character_error_rate(references, hypotheses) == pytest.approx(
        error_rates.token_error_rate(references, hypotheses)
    )
    # A mean over texts would be (1/4 + 1) / 2.
    rate = error_rates.word_error_rate(["a b c d", "e"], ["a b c", "f"])
    assert rate == pytest.approx(2 / 5)


@pytest.mark.parametrize("unit", ["word", "character"])
def test_edits_per_text_sum_to_the_error_rate(unit):
    """The rates are jiwer's."""
    references, hypotheses = (
        [" ".join(words) for words in side] for side in corpus(("a", "bc", "d e", "ff"))
    )
    references[0] = f" {references[0]}  x "
    counts = getattr(error_rates, f"{unit}_edits")(references, hypotheses)
    rate = getattr(error_rates, f"{unit}_error_rate")(references, hypotheses)
    total, length = counts.sum(axis=0)
    assert counts.shape == (12, 2) and total / length == pytest.approx(rate)
    split = str.split if unit == "word" else str.strip
    assert counts[3].tolist() == [
        edits(split(references[3]), split(hypotheses[3])), len(split(references[3]))
    ]  # fmt: skip


def test_sequence_error_rate_counts_sequences_with_any_error():
    rate = error_rates.sequence_error_rate(["ab", "c", "", "d"], ["ab", "", "", "e"])
    assert rate == 0.5
    assert error_rates.sequence_error_rate([("a", "b")], [["a", "b"]]) == 0


def test_error_rate_of_long_hypotheses_exceeds_one():
    assert error_rates.word_error_rate(["a"], ["b c d"]) == 3


@pytest.mark.parametrize(
    "metric",
    [
        error_rates.word_edits,
        error_rates.character_edits,
        error_rates.word_error_rate,
        error_rates.character_error_rate,
        error_rates.token_error_rate,
        error_rates.sequence_error_rate,
    ],
)
def test_unpaired_or_empty_references_raise_value_error(metric):
    with pytest.raises(
        ValueError, match="a hypothesis for each reference, not 1 for 2"
    ):
        metric(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="needs a reference that is not empty"):
        metric([], [])
