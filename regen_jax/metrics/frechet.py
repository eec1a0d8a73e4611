"""Fréchet distance between Gaussians fitted to two sets of features.

Dowson and Landau, "The Fréchet distance between multivariate normal distributions"
(1982); used on the features of a classifier by Heusel et al., arXiv 1706.08500. It
is the FID of the literature only with the features and the sample counts of that paper.
"""

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance of features a [N, D] and b [M, D], in squared units.

    The estimate is biased upwards for few rows, so compare figures only at equal N and
    M. NaN where a feature is not finite. Raises ValueError unless both have at least
    two rows and the same D.
    """
    a, b = np.asarray(a), np.asarray(b)
    for name, x in (("a", a), ("b", b)):
        if x.ndim != 2 or x.shape[0] < 2:
            raise ValueError(f"features {name} must be [N >= 2, D], not {x.shape}")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features differ in width: {a.shape[1]} and {b.shape[1]}")
    return frechet_distance_of_moments(*moments(a), *moments(b))


def left_out_distances(
    features: np.ndarray, number: int, draws: int, seed: int = 0
) -> np.ndarray:
    """Fréchet distances f64[draws] of random sets of `number` rows to the other rows.

    Their spread estimates that of the distance of `number` new rows of the distribution.
    A bootstrap of one set would overestimate it: repeated rows add variance.

    Args:
      features: [M, D].
      number: rows per set, from 2 to M - 2.
      draws: number of sets.
      seed: of the draws.
    """
    features = np.asarray(features)
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(draws):
        rows = rng.permutation(len(features))
        distances.append(
            frechet_distance(features[rows[:number]], features[rows[number:]])
        )
    return np.array(distances)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean f64[D] and unbiased covariance f64[D, D] of features [N, D]."""
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def frechet_distance_of_moments(
    mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray
) -> float:
    """Squared distance of Gaussians of means [D] and covariances [D, D].

    It is `|mean_a - mean_b|² + tr(cov_a + cov_b - 2 (cov_a cov_b)^½)`. The trace of the
    root is taken as the sum of the singular values of `cov_a^½ cov_b^½`, which unlike a
    root of the product is well conditioned for covariances that lack rank.
    """
    parts = [np.asarray(x, np.float64) for x in (mean_a, cov_a, mean_b, cov_b)]
    if not all(np.isfinite(x).all() for x in parts):
        return float("nan")
    mean_a, cov_a, mean_b, cov_b = parts
    overlap = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a + cov_b) - 2 * overlap
    return max(float(distance), 0.0)


def _root(cov: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance; rounding below zero is cut off."""
    values, vectors = np.linalg.eigh(cov)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
