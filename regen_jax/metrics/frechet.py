"""Fréchet distance between Gaussians fitted to two sets of features.

Dowson and Landau, "The Fréchet distance between multivariate normal distributions"
(1982); applied to the features of a classifier by Heusel et al., arXiv 1706.08500. It
equals the FID of the literature only with the features and sample counts of that paper.
"""

from collections.abc import Callable

import numpy as np


def frechet_distance(features: np.ndarray, other: np.ndarray) -> float:
    """Computes the squared Fréchet distance of two sets of features.

    The estimate is biased upwards for few rows: compare values only at equal N and M.

    Args:
      features: float[N, D].
      other: float[M, D].

    Returns:
      The distance in squared units of a feature; NaN if a feature is not finite.

    Raises:
      ValueError: a set has fewer than two rows, or their D differ.
    """
    features, other = np.asarray(features), np.asarray(other)
    for name, x in (("features", features), ("other", other)):
        if x.ndim != 2 or x.shape[0] < 2:
            raise ValueError(f"{name} must be [N >= 2, D], not {list(x.shape)}")
    if features.shape[1] != other.shape[1]:
        raise ValueError(
            f"features differ in width: {features.shape[1]} and {other.shape[1]}"
        )
    return frechet_distance_of_moments(*moments(features), *moments(other))


def random_split_distances(
    features: np.ndarray, subset_size: int, num_splits: int, seed: int = 0
) -> np.ndarray:
    """Computes Fréchet distances of random subsets of a set to their complements.

    Their standard deviation estimates that of the distance of `subset_size` new samples
    of the distribution. A bootstrap of the set would overestimate it, because repeated
    rows add variance.

    Args:
      features: float[M, D].
      subset_size: rows per subset, from 2 to M - 2.
      num_splits: number of subsets.
      seed: seed of the random splits.

    Returns:
      f64[num_splits].
    """
    features = np.asarray(features)
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(num_splits):
        rows = rng.permutation(len(features))
        subset, complement = rows[:subset_size], rows[subset_size:]
        distances.append(frechet_distance(features[subset], features[complement]))
    return np.array(distances)


def half_sample_distances(
    features: np.ndarray, other: np.ndarray, num_halves: int, seed: int = 0
) -> np.ndarray:
    """Computes Fréchet distances of random halves of a set to another set.

    Drawn without replacement, a half deviates from the whole as much as the whole does from
    the distribution (McCarthy, "Pseudo-replication: half samples", 1969). So their standard
    deviation estimates that of `frechet_distance(features, other)` over new samples; their
    mean is larger, as the distance of few samples is.

    Args:
      features: float[N >= 4, D].
      other: float[M, D].
      num_halves: number of halves.
      seed: seed of the random halves.

    Returns:
      f64[num_halves].
    """
    features, distance = np.asarray(features), _distance_to(*moments(other))
    rng = np.random.default_rng(seed)
    halves = [
        features[rng.permutation(len(features))[: len(features) // 2]]
        for _ in range(num_halves)
    ]
    return np.array([distance(*moments(half)) for half in halves])


def distance_metrics(
    features: np.ndarray, reference: np.ndarray, is_real: bool, num_draws: int
) -> dict[str, float]:
    """Computes the Fréchet distance of samples to a reference, and its deviation.

    Args:
      features: float[N, D] of samples.
      reference: float[M, D] of training data.
      is_real: whether the samples are real data. Their distance is the mean over random
        sets of as many training data against the rest, the best that samples can reach.
      num_draws: random halves of the samples, or random sets of real data, from which the
        standard deviation is estimated.

    Returns:
      `frechet`, `frechet_samples`, the number N, and `frechet_std`; nothing of fewer than 4
      samples, of as many as the reference has, or where a feature is not finite.
    """
    number = len(features)
    if not 3 < number < len(reference) - 1 or not np.isfinite(features).all():
        return {}
    if is_real:
        draws = random_split_distances(reference, number, num_draws)
        distance = float(np.mean(draws))
    else:
        distance = frechet_distance(features, reference)
        draws = half_sample_distances(features, reference, num_draws)
    return {
        "frechet": distance,
        "frechet_samples": number,
        "frechet_std": float(np.std(draws, ddof=1)),
    }


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean f64[D] and unbiased covariance f64[D, D] of float[N, D]."""
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    centered = features - mean
    return mean, centered.T @ centered / (len(features) - 1)


def frechet_distance_of_moments(
    mean: np.ndarray,
    covariance: np.ndarray,
    other_mean: np.ndarray,
    other_covariance: np.ndarray,
) -> float:
    """Computes the squared Fréchet distance of two Gaussians.

    It is `|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½)`. The trace of the root is computed as
    the sum of the singular values of `C1^½ C2^½`, which unlike a root of the product is
    well conditioned for rank-deficient covariances.

    Args:
      mean: float[D].
      covariance: float[D, D].
      other_mean: float[D].
      other_covariance: float[D, D].

    Returns:
      The distance; NaN if an argument is not finite.
    """
    return _distance_to(other_mean, other_covariance)(mean, covariance)


def _distance_to(
    mean: np.ndarray, covariance: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], float]:
    """Returns a function of `frechet_distance_of_moments` to this Gaussian.

    Its root is computed once for all calls.
    """
    m2, c2 = (np.asarray(x, np.float64) for x in (mean, covariance))
    finite = np.isfinite(m2).all() and np.isfinite(c2).all()
    root = _sqrtm(c2) if finite else c2

    def distance(mean: np.ndarray, covariance: np.ndarray) -> float:
        m1, c1 = (np.asarray(x, np.float64) for x in (mean, covariance))
        if not (finite and np.isfinite(m1).all() and np.isfinite(c1).all()):
            return float("nan")
        overlap = np.linalg.svd(_sqrtm(c1) @ root, compute_uv=False).sum()
        squared = np.sum((m1 - m2) ** 2) + np.trace(c1 + c2) - 2 * overlap
        return max(float(squared), 0.0)

    return distance


def _sqrtm(covariance: np.ndarray) -> np.ndarray:
    """Computes the symmetric square root; clips eigenvalues rounded below zero."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
