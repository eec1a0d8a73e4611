"""Paired bootstrap over examples, a test of whether two systems differ.

Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation",
https://aclanthology.org/W04-3250. Examples are drawn with replacement, the same for both
systems, so that the difficulty of examples cancels out. It does not import JAX.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

NUM_RESAMPLES = 1000
LEVEL = 0.95
SEED = 0

_CHUNK = 100

Statistic = Callable[[np.ndarray], np.ndarray]
"""Maps sums over examples [R, K] to values of a metric f64[R]."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A metric of two systems on the same examples.

    Attributes:
      baseline: value of the metric of the baseline.
      system: value of the metric of the system.
      low: lower end of the 95 % interval of resampled differences.
      high: upper end of the interval.
      p_value: two-sided, of a difference at least as large if the systems are equal.
    """

    baseline: float
    system: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        """The value of the system minus that of the baseline."""
        return self.system - self.baseline


def ratio_of_sums(sums: np.ndarray) -> np.ndarray:
    """Divides numerators by denominators, [R, 2] to f64[R]; NaN where one divides by 0."""
    values = np.full(len(sums), np.nan)
    np.divide(sums[:, 0], sums[:, 1], out=values, where=sums[:, 1] > 0)
    return values


def paired_bootstrap(
    baseline: np.ndarray,
    system: np.ndarray,
    statistic: Statistic = ratio_of_sums,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compares two systems by a metric of sums over examples.

    An error rate is errors over reference words, an accuracy correct examples over all.
    The p-value is the fraction of resampled differences that are at least as far from the
    measured difference as that is from 0; it is never 0, and 1 if the systems are equal.

    Args:
      baseline: f64[N, K], values per example that are summed: by default a numerator and
        a denominator.
      system: f64[N, K], those of the other system.
      statistic: maps the sums to the metric.
      num_resamples: number of draws of N examples.
      seed: seed of the draws.

    Raises:
      ValueError: the numbers of examples differ or are 0, or a metric has no value.
    """
    baseline, system = np.asarray(baseline, float), np.asarray(system, float)
    if baseline.shape != system.shape or baseline.ndim != 2 or not len(baseline):
        raise ValueError(
            "a paired bootstrap needs the same examples of both systems, [N, K], not "
            f"{list(baseline.shape)} and {list(system.shape)}"
        )
    values = [
        float(statistic(examples.sum(axis=0)[None])[0])
        for examples in (baseline, system)
    ]
    if not np.isfinite(values).all():
        raise ValueError("a paired bootstrap needs denominators whose sum is not 0")
    rng, number = np.random.default_rng(seed), len(baseline)
    differences = []
    for first in range(0, num_resamples, _CHUNK):
        draws = min(_CHUNK, num_resamples - first)
        counts = rng.multinomial(number, np.full(number, 1 / number), size=draws)
        differences.append(statistic(counts @ system) - statistic(counts @ baseline))
    resampled = np.concatenate(differences)
    # Resamples with a denominator of 0 have no value.
    resampled = resampled[np.isfinite(resampled)]
    difference = values[1] - values[0]
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # Distances equal up to rounding count.
    distance = np.abs(resampled - difference) * (1 + 1e-9)
    num_as_far = np.sum(distance >= abs(difference))
    p_value = (1 + num_as_far) / (1 + len(resampled))
    return Comparison(*values, float(low), float(high), float(p_value))


def compare_texts(
    metric: str,
    references: Sequence[str],
    baseline: Sequence[str],
    system: Sequence[str],
    num_resamples: int = NUM_RESAMPLES,
) -> Comparison:
    """Compares two systems by corpus BLEU or chrF.

    The scores are those of `bleu` and `chrf` in `regen_jax.metrics.text`.

    The p-value is that of sacrebleu's paired bootstrap, whose seed is fixed, and 1 if
    the scores are equal, which sacrebleu reports as significant.

    Args:
      metric: `bleu` or `chrf`.
      references: N texts.
      baseline: N texts of the baseline.
      system: N texts of the system.
      num_resamples: number of draws of N texts.

    Raises:
      ValueError: the numbers of texts differ, or are 0.
    """
    if not len(references) == len(baseline) == len(system) > 0:
        raise ValueError(
            "a paired bootstrap needs a text of each system for each of one or more "
            f"references, not {len(baseline)} and {len(system)} for {len(references)}"
        )
    import sacrebleu
    from sacrebleu.significance import PairedTest

    scorer = {"bleu": sacrebleu.BLEU, "chrf": sacrebleu.CHRF}[metric]()
    systems = [("baseline", list(baseline)), ("system", list(system))]
    counts = [
        np.array(scorer._extract_corpus_statistics(texts, [list(references)]), float)
        for _, texts in systems
    ]

    def statistic(sums: np.ndarray) -> np.ndarray:
        return np.array([scorer._compute_score_from_stats(row).score for row in sums])

    comparison = paired_bootstrap(*counts, statistic, num_resamples)
    if comparison.difference == 0:
        return comparison
    test = PairedTest(
        systems, {metric: scorer}, [list(references)], "bs", n_samples=num_resamples
    )
    _, table = test()
    (_, result) = next(scores for name, scores in table.items() if name != "System")
    return dataclasses.replace(comparison, p_value=float(result.p_value))
