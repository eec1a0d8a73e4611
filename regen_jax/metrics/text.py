"""How good, how simple and how new generated texts are.

`sacrebleu` (Post 2018, https://aclanthology.org/W18-6319) comes with the extra `text`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

ORDERS = range(1, 5)
"""Lengths of the n-grams of SARI and PINC."""


def bleu(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """BLEU of a corpus, 0 to 100: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    _check(references, hypotheses)
    import sacrebleu

    return sacrebleu.corpus_bleu(list(hypotheses), [list(references)]).score


def chrf(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """chrF2 of a corpus, 0 to 100: `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no`.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    _check(references, hypotheses)
    import sacrebleu

    return sacrebleu.corpus_chrf(list(hypotheses), [list(references)]).score


def sari(
    sources: Sequence[str],
    references: Sequence[str | Sequence[str]],
    hypotheses: Sequence[str],
) -> float:
    """How well words of the source are kept, deleted and added, 0 to 100.

    Xu et al. 2016, "Optimizing Statistical Machine Translation for Text
    Simplification", https://aclanthology.org/Q16-1029, as the authors' own `SARI.py`
    computes it: the mean of the F1 of keeping, the F1 of adding and the precision of
    deleting, each the mean over n-grams of 1 to 4 words, and of that the mean over
    sentences. 0/0 is 0: where nothing is to be deleted, even a perfect text has less
    than 100. Words are those of sacrebleu's tokenizer 13a, in lower case.

    Args:
      sources: N texts.
      references: N simplifications, or N lists of several.
      hypotheses: N texts.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    scores = sentence_saris(sources, references, hypotheses)
    return sum(scores) / len(scores)


def sentence_saris(
    sources: Sequence[str],
    references: Sequence[str | Sequence[str]],
    hypotheses: Sequence[str],
) -> list[float]:
    """Returns SARI per sentence, 0 to 100; `sari` is their mean.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    _check(sources, hypotheses)
    _check(references, hypotheses)
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()

    def tokens(text: str) -> list[str]:
        return tokenize(text.lower()).split()

    scores = []
    for source, several, hypothesis in zip(
        sources, references, hypotheses, strict=True
    ):
        known = [several] if isinstance(several, str) else several
        score = _sentence_sari(
            tokens(source), [tokens(text) for text in known], tokens(hypothesis)
        )
        scores.append(100 * score)
    return scores


def pinc(sources: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Returns the percentage of n-grams of the hypotheses that their source lacks.

    Chen and Dolan 2011, "Collecting Highly Parallel Data for Paraphrase Evaluation",
    https://aclanthology.org/P11-1020: the mean over n of 1 to 4 of
    1 - |n-grams of both| / |n-grams of the hypothesis|, so that copies have 0. n-grams
    count as often as they occur and are summed over the corpus before they are divided,
    as in the script of Carlson et al. 2018 (https://arxiv.org/abs/1711.04731), so texts
    of fewer than n words have no weight at that n, and empty hypotheses none at all. An n
    of which no hypothesis has an n-gram is left out of the mean; where all are empty
    the score is 0. Words are those of sacrebleu's tokenizer 13a with their case, as in
    `bleu`.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    _check(sources, hypotheses)
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenize = Tokenizer13a()
    pairs = [
        (tokenize(source).split(), tokenize(hypothesis).split())
        for source, hypothesis in zip(sources, hypotheses, strict=True)
    ]
    scores = []
    for n in ORDERS:
        shared = total = 0
        for source, hypothesis in pairs:
            ngrams = Counter(_ngrams(hypothesis, n))
            shared += (ngrams & Counter(_ngrams(source, n))).total()
            total += ngrams.total()
        if total:
            scores.append(1 - shared / total)
    return 100 * sum(scores) / max(1, len(scores))


def novelty(hypotheses: Iterable[str], training: Iterable[str], n: int = 4) -> float:
    """Share of the n-grams of words, in [0, 1], that no training text has.

    Words are compared in lower case and without punctuation. It is 0 where no
    hypothesis has n words.
    """
    known: set[tuple[str, ...]] = set()
    for text in training:
        known.update(_ngrams(_words(text), n))
    ngrams = [ngram for text in hypotheses for ngram in _ngrams(_words(text), n)]
    return sum(ngram not in known for ngram in ngrams) / max(1, len(ngrams))


def copied(hypotheses: Sequence[str], training: Iterable[str]) -> float:
    """Share of the hypotheses, in [0, 1], that stand in a training text word for word.

    A whole one or a part of it, in lower case and without punctuation. A hypothesis
    without words does not count as a copy.

    Raises:
      ValueError: there is no hypothesis.
    """
    if not hypotheses:
        raise ValueError("the share of copies needs a hypothesis")
    corpus = "\n".join(f" {' '.join(_words(text))} " for text in training)
    samples = [" ".join(_words(text)) for text in hypotheses]
    return sum(f" {text} " in corpus for text in samples if text) / len(samples)


def _sentence_sari(
    source: list[str], references: list[list[str]], hypothesis: list[str]
) -> float:
    keep = delete = add = 0.0
    for n in ORDERS:
        # An n-gram of the source counts as often as there are references, so that its
        # weight is the share of references that have it.
        before = Counter(_ngrams(source, n) * len(references))
        after = Counter(_ngrams(hypothesis, n) * len(references))
        wanted = Counter(ngram for text in references for ngram in _ngrams(text, n))
        kept, to_keep = before & after, before & wanted
        keep += _f1(
            _mean_share(kept & wanted, kept), _mean_share(kept & wanted, to_keep)
        )
        deleted = before - after
        delete += _mean_share(deleted - wanted, deleted)
        added, to_add = set(after) - set(before), set(wanted) - set(before)
        right = len(added & to_add)
        add += _f1(right / max(1, len(added)), right / max(1, len(to_add)))
    return (keep + delete + add) / (3 * len(ORDERS))


def _mean_share(part: Counter, whole: Counter) -> float:
    return sum(part[ngram] / whole[ngram] for ngram in part) / max(1, len(whole))


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-12)


def _ngrams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def _check(references: Sequence, hypotheses: Sequence) -> None:
    if len(references) != len(hypotheses) or not hypotheses:
        raise ValueError(
            "a score of generated texts needs a hypothesis for each of one or more "
            f"texts, not {len(hypotheses)} for {len(references)}"
        )
