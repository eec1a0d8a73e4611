"""Error rates of transcripts: edits over reference length, both summed over a corpus.

Edits are the minimum number of substitutions, deletions and insertions that turn the
reference into the hypothesis. A rate may exceed 1 if hypotheses are longer. `jiwer` and
its `rapidfuzz`, which count edits, come with the extra `speech`.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

Symbols = Sequence[Hashable]


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Computes edits per reference word; spaces separate words.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a word.
    """
    _check(references, hypotheses, any(text.split() for text in references))
    import jiwer

    return float(jiwer.wer(list(references), list(hypotheses)))


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Computes edits per reference character, including spaces between words.

    Leading and trailing spaces are ignored.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a character.
    """
    _check(references, hypotheses, any(text.strip() for text in references))
    import jiwer

    return float(jiwer.cer(list(references), list(hypotheses)))


def token_error_rate(
    references: Sequence[Symbols], hypotheses: Sequence[Symbols]
) -> float:
    """Computes edits per reference symbol: for phonemes, the phoneme error rate.

    Raises:
      ValueError: the numbers of sequences differ, or no reference has a symbol.
    """
    _check(references, hypotheses, any(len(sequence) for sequence in references))
    edits, lengths = _edits(references, hypotheses).sum(axis=0).tolist()
    return edits / lengths


def sequence_error_rate(
    references: Sequence[Symbols], hypotheses: Sequence[Symbols]
) -> float:
    """Computes the fraction of hypotheses that differ from their reference.

    Raises:
      ValueError: the numbers of sequences differ, or are 0.
    """
    _check(references, hypotheses, len(references) > 0)
    pairs = zip(references, hypotheses, strict=True)
    errors = sum(list(reference) != list(hypothesis) for reference, hypothesis in pairs)
    return errors / len(references)


def word_edits(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Counts edits and reference words per text, i64[N, 2].

    The ratio of their sums is `word_error_rate`.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a word.
    """
    return _text_edits(references, hypotheses, str.split)


def character_edits(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Counts edits and reference characters per text, i64[N, 2].

    The ratio of their sums is `character_error_rate`.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a character.
    """
    return _text_edits(references, hypotheses, str.strip)


def nearest_edits(
    references: Sequence[Sequence[Symbols]], hypotheses: Sequence[Symbols]
) -> np.ndarray:
    """Counts edits to the nearest of several references, and its length, i64[N, 2].

    Among equally near references the first counts.

    Args:
      references: alternatives for each hypothesis, at least one.
      hypotheses: sequences of symbols.

    Raises:
      ValueError: the numbers differ, or a hypothesis has no reference.
    """
    _check(references, hypotheses, all(len(several) for several in references))
    from rapidfuzz.distance import Levenshtein

    edits = np.zeros((len(hypotheses), 2), np.int64)
    for row, (several, hypothesis) in enumerate(
        zip(references, hypotheses, strict=True)
    ):
        distances = [
            Levenshtein.distance(reference, hypothesis) for reference in several
        ]
        nearest = int(np.argmin(distances))
        edits[row] = distances[nearest], len(several[nearest])
    return edits


def _text_edits(
    references: Sequence[str],
    hypotheses: Sequence[str],
    tokenize: Callable[[str], Symbols],
) -> np.ndarray:
    tokens = [tokenize(text) for text in references]
    _check(references, hypotheses, any(tokens))
    return _edits(tokens, [tokenize(text) for text in hypotheses])


def _edits(references: Sequence[Symbols], hypotheses: Sequence[Symbols]) -> np.ndarray:
    """Counts edits and reference symbols per pair, i64[N, 2]."""
    from rapidfuzz.distance import Levenshtein

    pairs = zip(references, hypotheses, strict=True)
    return np.array(
        [
            (Levenshtein.distance(reference, hypothesis), len(reference))
            for reference, hypothesis in pairs
        ]
    )


def _check(references: Sequence, hypotheses: Sequence, any_symbols: bool) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(
            "an error rate needs a hypothesis for each reference, "
            f"not {len(hypotheses)} for {len(references)}"
        )
    if not any_symbols:
        raise ValueError("an error rate needs a reference that is not empty")
