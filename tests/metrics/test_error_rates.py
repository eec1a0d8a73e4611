import functools

import numpy as np
import pytest

from regen_jax.metrics import error_rates


def edits(a, b):
    """Levenshtein distance by its recursion."""

    @functools.cache
    def best(i, j):
        if not i or not j:
            return i + j
        kept = best(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(kept, best(i - 1, j) + 1, best(i, j - 1) + 1)

    return best(len(a), len(b))


def corpus(symbols, seed=0):
    rng = np.random.default_rng(seed)

    def sequences():
        return [
            [symbols[i] for i in rng.integers(len(symbols), size=rng.integers(0, 7))]
            for _ in range(12)
        ]

    return sequences(), sequences()


def test_token_errors_agree_with_the_recursion():
    references, hypotheses = corpus(("ˈæ", "æ", "s", 4))
    total = sum(map(edits, references, hypotheses))
    found = error_rates.token_error_rate(references, hypotheses)
    assert found == pytest.approx(total / sum(map(len, references)))


def test_nearest_edits_are_to_the_best_of_several_references():
    first, hypotheses = corpus(("a", "b", "c"))
    second, third = corpus(("a", "b", "c"), seed=1)
    references = list(zip(first, second, third, strict=True))
    found = error_rates.nearest_edits(references, hypotheses)
    for listed, hypothesis, row in zip(references, hypotheses, found, strict=True):
        # `min` gives the first of several with equally few edits, as the docstring says.
        nearest = min(listed, key=lambda known, other=hypothesis: edits(known, other))
        assert row.tolist() == [edits(nearest, hypothesis), len(nearest)]
    with pytest.raises(ValueError, match="not empty"):
        error_rates.nearest_edits([[]], ["a"])


def test_word_and_character_errors_are_of_the_corpus():
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
    found = error_rates.word_error_rate(["a b c d", "e"], ["a b c", "f"])
    assert found == pytest.approx(2 / 5)


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


def test_sequences_are_right_or_wrong():
    found = error_rates.sequence_error_rate(["ab", "c", "", "d"], ["ab", "", "", "e"])
    assert found == 0.5
    assert error_rates.sequence_error_rate([("a", "b")], [["a", "b"]]) == 0


def test_longer_hypotheses_exceed_one():
    assert error_rates.word_error_rate(["a"], ["b c d"]) == 3


@pytest.mark.parametrize(
    "rate",
    [
        error_rates.word_edits,
        error_rates.character_edits,
        error_rates.word_error_rate,
        error_rates.character_error_rate,
        error_rates.token_error_rate,
        error_rates.sequence_error_rate,
    ],
)
def test_refuses_what_has_no_rate(rate):
    with pytest.raises(
        ValueError, match="a hypothesis for each reference, not 1 for 2"
    ):
        rate(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="needs a reference that is not empty"):
        rate([], [])
