import math

import pytest

from regen_jax.metrics.text import (
    bleu,
    chrf,
    copied_fraction,
    novelty,
    pinc,
    sari,
    sentence_sari,
)

SOURCE = "About 95 species are currently accepted ."
REFERENCES = [
    "About 95 species are currently known .",
    "About 95 species are now accepted .",
    "95 species are now accepted .",
]


@pytest.mark.parametrize(
    "hypothesis, score",
    [
        ("About 95 you now get in .", 26.83),
        ("About 95 species are now agreed .", 58.89),
        ("About 95 species are currently agreed .", 50.71),
    ],
)
def test_sari_equals_the_authors_examples(hypothesis, score):
    """Xu et al. give these scores in their SARI.py."""
    assert sari([SOURCE], [REFERENCES], [hypothesis]) == pytest.approx(score, abs=0.01)


def test_sari_equals_worked_example():
    """Source `a b c`, reference `a b d`, hypothesis `a c d`.

    1-grams: of the kept a, c the reference has a, which is 1 of its a, b: F1 1/2. Of the
    deleted b it deletes none: 0. d is rightly added, and all that is to add: 1.
    2-grams: nothing is kept: 0; ab, bc are deleted, bc rightly: 1/2; ac, cd are added,
    not bd: 0. 3-grams: abc is deleted rightly: 1; the rest is 0. 4-grams: 0.
    """
    expected = 100 * (1 / 2 + (0 + 1 / 2 + 1) + 1) / (3 * 4)
    assert sari(["a b c"], ["a b d"], ["a c d"]) == pytest.approx(expected)


def test_sari_is_the_mean_over_sentences():
    sources, references, hypotheses = (
        ["a b c", SOURCE],
        ["a b d", REFERENCES],
        ["A c D", "About 95 you now get in."],
    )
    both = sari(sources, references, hypotheses)
    each = [
        sari([source], [reference], [hypothesis])
        for source, reference, hypothesis in zip(
            sources, references, hypotheses, strict=True
        )
    ]
    assert both == pytest.approx(sum(each) / 2)
    assert sentence_sari(sources, references, hypotheses) == pytest.approx(each)
    assert each[1] == pytest.approx(26.83, abs=0.01)


def test_sari_of_perfect_and_empty_texts():
    source, reference = "behold the man of old times", "see a very great king there"
    assert sari([source], [reference], [reference]) == pytest.approx(200 / 3)
    long, short = "a b c d e f g h", "a b c d e"
    assert sari([long], [short], [short]) == pytest.approx(200 / 3)
    mixed, simple = "a b c d x y z w", "a b c d v"
    assert sari([mixed], [simple], [simple]) == pytest.approx(100)
    assert sari([source], [reference], [""]) == pytest.approx(100 / 3)


def test_pinc_of_one_text_equals_its_formula():
    """Of `a b c e f`, all but e, f, then ce, ef, then two of three, then all are new."""
    score = pinc(["a b c d"], ["a b c e f"])
    assert score == pytest.approx(100 * (2 / 5 + 2 / 4 + 2 / 3 + 2 / 2) / 4)
    # An n-gram that the source has once is copied once.
    assert pinc(["a b"], ["a a"]) == pytest.approx(100 * (1 / 2 + 1) / 2)


def test_pinc_of_copies_is_0_and_of_new_words_is_100():
    texts = ["In the beginning God made the heaven.", "Short one"]
    assert pinc(texts, texts) == 0
    assert pinc(texts, ["all other words here", "x"]) == 100


def test_pinc_sums_ngrams_over_the_corpus():
    """8 words with 1 new and 1 that is: 2 of 9, and not the mean of 1/8 and 1."""
    sources, hypotheses = ["a b c d e f g h", "a"], ["a b c d e f g x", "y"]
    longer = 1 / 7 + 1 / 6 + 1 / 5
    assert pinc(sources, hypotheses) == pytest.approx(100 * (2 / 9 + longer) / 4)


def test_empty_hypotheses_have_no_weight_in_pinc():
    full = pinc(["a b c d"], ["a x c d"])
    assert pinc(["a b c d", "e f"], ["a x c d", ""]) == full
    assert pinc(["a", "b"], ["", ""]) == 0


def test_bleu_equals_worked_example():
    """Precisions 4/5, 2/4, 1/3 and, smoothed, 1/(2 * 2); length 5 of 6."""
    score = bleu(["the old man went home today"], ["the old man is home"])
    precisions = 4 / 5 * 2 / 4 * 1 / 3 * 1 / 4
    assert score == pytest.approx(100 * math.exp(1 - 6 / 5) * precisions**0.25)


def test_chrf_equals_worked_example():
    """Of `abcd` and `abce`, orders 1 to 4 match 3/4, 2/3, 1/2 and 0."""
    assert chrf(["abcd"], ["abce"]) == pytest.approx(100 * (3 / 4 + 2 / 3 + 1 / 2) / 4)


def test_perfect_texts_score_100_and_empty_texts_0():
    texts = ["In the beginning God made the heaven.", "And the earth was without form."]
    assert bleu(texts, texts) == pytest.approx(100)
    assert chrf(texts, texts) == pytest.approx(100)
    assert bleu(texts, ["", ""]) == chrf(texts, ["", ""]) == 0


@pytest.mark.parametrize("score", [bleu, chrf, pinc, lambda a, b: sari(a, a, b)])
@pytest.mark.parametrize("references, hypotheses", [([], []), (["a"], ["a", "b"])])
def test_unpaired_texts_raise_value_error(score, references, hypotheses):
    with pytest.raises(ValueError, match="a hypothesis for each"):
        score(references, hypotheses)


def test_novelty_is_the_fraction_of_unseen_ngrams():
    training = ["And God said, Let there be light.", "It was good"]
    hypotheses = ["and god said: let it be", "It was good!", "be"]
    # and god said let, god said let it, said let it be
    assert novelty(hypotheses, training) == pytest.approx(2 / 3)
    assert novelty(hypotheses, training, n=3) == pytest.approx(2 / 5)
    assert novelty(hypotheses, training, n=1) == 0
    assert novelty(["let there be", ""], training) == 0
    assert novelty(["light it was good"], iter(training)) == 1


def test_copies_occur_within_one_training_text():
    training = ["And God said, Let there be light.", "Aaron's son"]
    hypotheses = [
        "let there BE light!",
        "God",
        "light Aaron's",
        "on",
        "aaron's son",
        "",
    ]
    assert copied_fraction(hypotheses, iter(training)) == pytest.approx(3 / 6)
    with pytest.raises(ValueError, match="needs a hypothesis"):
        copied_fraction([], training)
