"""Error rates of transcripts: edits over reference length, each summed over a corpus.

Edits are the least number of substitutions, deletions and insertions that turn the
reference into the hypothesis. Where hypotheses are longer a rate may exceed 1. `jiwer`
and its `rapidfuzz`, which count them, come with the extra `speech`.
"""

from collections.abc import Hashable, Sequence

import numpy as np


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Edits over words of the references; spaces separate words.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a word.
    """
    _check(references, hypotheses, any(text.split() for text in references))
    import jiwer

    return float(jiwer.wer(list(references), list(hypotheses)))


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Edits over characters of the references, spaces between words among them.

    Spaces at the ends do not count.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a character.
    """
    _check(references, hypotheses, any(text.strip() for text in references))
    import jiwer

    return float(jiwer.cer(list(references), list(hypotheses)))


def nearest_edits(
    references: Sequence[Sequence[Sequence[Hashable]]],
    hypotheses: Sequence[Sequence[Hashable]],
) -> np.ndarray:
    """Returns edits to the nearest of several references, and its length, i64[N, 2].

    Among equally near references the first counts.

    Args:
      references: those of each hypothesis, at least one.
      hypotheses: sequences of symbols.

    Raises:
      ValueError: the numbers differ, or a hypothesis has no reference.
    """
    _check(references, hypotheses, all(len(listed) for listed in references))
    from rapidfuzz.distance import Levenshtein

    edits = np.zeros((len(hypotheses), 2), np.int64)
    for row, (listed, hypothesis) in enumerate(
        zip(references, hypotheses, strict=True)
    ):
        distances = [Levenshtein.distance(known, hypothesis) for known in listed]
        nearest = int(np.argmin(distances))
        edits[row] = distances[nearest], len(listed[nearest])
    return edits


def word_edits(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Returns edits and reference words of each text, i64[N, 2].

    The ratio of their sums is `word_error_rate`.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a word.
    """
    _check(references, hypotheses, any(text.split() for text in references))
    return _edits(
        [text.split() for text in references], [text.split() for text in hypotheses]
    )


def character_edits(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Returns edits and reference characters of each text, i64[N, 2].

    The ratio of their sums is `character_error_rate`.

    Raises:
      ValueError: the numbers of texts differ, or no reference has a character.
    """
    _check(references, hypotheses, any(text.strip() for text in references))
    return _edits(
        [text.strip() for text in references], [text.strip() for text in hypotheses]
    )


def token_error_rate(
    references: Sequence[Sequence[Hashable]], hypotheses: Sequence[Sequence[Hashable]]
) -> float:
    """Edits over symbols of the references: of phonemes, the phoneme error rate.

    Raises:
      ValueError: the numbers of sequences differ, or no reference has a symbol.
    """
    _check(references, hypotheses, any(len(sequence) for sequence in references))
    from rapidfuzz.distance import Levenshtein

    pairs = zip(references, hypotheses, strict=True)
    edits = sum(Levenshtein.distance(a, b) for a, b in pairs)
    return edits / sum(map(len, references))


def sequence_error_rate(
    references: Sequence[Sequence[Hashable]], hypotheses: Sequence[Sequence[Hashable]]
) -> float:
    """Share of the hypotheses that differ from their reference at all.

    Raises:
      ValueError: the numbers of sequences differ, or are 0.
    """
    _check(references, hypotheses, len(references) > 0)
    pairs = zip(references, hypotheses, strict=True)
    return sum(list(a) != list(b) for a, b in pairs) / len(references)


def _edits(
    references: Sequence[Sequence[Hashable]], hypotheses: Sequence[Sequence[Hashable]]
) -> np.ndarray:
    from rapidfuzz.distance import Levenshtein

    pairs = zip(references, hypotheses, strict=True)
    return np.array([(Levenshtein.distance(a, b), len(a)) for a, b in pairs])


def _check(references: Sequence, hypotheses: Sequence, any_symbols: bool) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(
            "an error rate needs a hypothesis for each reference, "
            f"not {len(hypotheses)} for {len(references)}"
        )
    if not any_symbols:
        raise ValueError("an error rate needs a reference that is not empty")
