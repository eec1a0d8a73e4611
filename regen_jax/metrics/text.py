"""Quality, simplicity and novelty of generated texts.

`sacrebleu` (Post 2018, https://aclanthology.org/W18-6319) comes with the extra `text`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

ORDERS = range(1, 5)
"""n-gram orders of SARI and PINC."""


def bleu(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Computes corpus BLEU, 0 to 100: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    _check(references, hypotheses)
    import sacrebleu

    return sacrebleu.corpus_bleu(list(hypotheses), [list(references)]).score


def chrf(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Computes corpus chrF2, 0 to 100: `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no`.

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
    """Computes SARI, 0 to 100: how well source words are kept, deleted and added.

    Xu et al. 2016, "Optimizing Statistical Machine Translation for Text
    Simplification", https://aclanthology.org/Q16-1029, as computed by the authors'
    `SARI.py`: the mean of keep F1, add F1 and deletion precision, each averaged over
    n-grams of 1 to 4 words, then over sentences. 0/0 is 0: if nothing is to be deleted,
    even a perfect text has less than 100. Words are those of sacrebleu's tokenizer 13a,
    in lower case.

    Args:
      sources: N texts.
      references: N simplifications, or N lists of several.
      hypotheses: N texts.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    scores = sentence_sari(sources, references, hypotheses)
    return sum(scores) / len(scores)


def sentence_sari(
    sources: Sequence[str],
    references: Sequence[str | Sequence[str]],
    hypotheses: Sequence[str],
) -> list[float]:
    """Computes SARI per sentence, 0 to 100; `sari` is their mean.

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
    for source, reference, hypothesis in zip(
        sources, references, hypotheses, strict=True
    ):
        alternatives = [reference] if isinstance(reference, str) else reference
        score = _sari(
            tokens(source), [tokens(text) for text in alternatives], tokens(hypothesis)
        )
        scores.append(100 * score)
    return scores


def pinc(sources: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Computes PINC, the percentage of hypothesis n-grams that the source lacks.

    Chen and Dolan 2011, "Collecting Highly Parallel Data for Paraphrase Evaluation",
    https://aclanthology.org/P11-1020: the mean over n from 1 to 4 of
    1 - |n-grams of both| / |n-grams of the hypothesis|, so that copies score 0. Repeated
    n-grams count repeatedly, and counts are summed over the corpus before they are
    divided, as in the script of Carlson et al. 2018 (https://arxiv.org/abs/1711.04731):
    texts of fewer than n words have no weight at that n, and empty hypotheses none at
    all. An n without any hypothesis n-gram is left out of the mean; if all hypotheses
    are empty the score is 0. Words are those of sacrebleu's tokenizer 13a, case
    preserved, as in `bleu`.

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
    """Computes the fraction of word n-grams that no training text has, in [0, 1].

    Words are compared in lower case and without punctuation. It is 0 if no hypothesis
    has n words.
    """
    known: set[tuple[str, ...]] = set()
    for text in training:
        known.update(_ngrams(_words(text), n))
    ngrams = [ngram for text in hypotheses for ngram in _ngrams(_words(text), n)]
    return sum(ngram not in known for ngram in ngrams) / max(1, len(ngrams))


def copied_fraction(hypotheses: Sequence[str], training: Iterable[str]) -> float:
    """Computes the fraction of hypotheses that occur verbatim in a training text.

    A copy may be a part of the training text; case and punctuation are ignored. A
    hypothesis without words is not a copy.

    Raises:
      ValueError: there is no hypothesis.
    """
    if not hypotheses:
        raise ValueError("the fraction of copies needs a hypothesis")
    corpus = "\n".join(f" {' '.join(_words(text))} " for text in training)
    samples = [" ".join(_words(text)) for text in hypotheses]
    return sum(f" {text} " in corpus for text in samples if text) / len(samples)


def _sari(
    source: list[str], references: list[list[str]], hypothesis: list[str]
) -> float:
    keep = delete = add = 0.0
    for n in ORDERS:
        # An n-gram of the source counts once per reference, so that its weight is the
        # fraction of references that have it.
        before = Counter(_ngrams(source, n) * len(references))
        after = Counter(_ngrams(hypothesis, n) * len(references))
        target = Counter(ngram for text in references for ngram in _ngrams(text, n))
        kept, to_keep = before & after, before & target
        keep += _f1(
            _mean_fraction(kept & target, kept), _mean_fraction(kept & target, to_keep)
        )
        deleted = before - after
        delete += _mean_fraction(deleted - target, deleted)
        added, to_add = set(after) - set(before), set(target) - set(before)
        correct = len(added & to_add)
        add += _f1(correct / max(1, len(added)), correct / max(1, len(to_add)))
    return (keep + delete + add) / (3 * len(ORDERS))


def _mean_fraction(part: Counter, whole: Counter) -> float:
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
