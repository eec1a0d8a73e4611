import numpy as np
import pytest

from regen_jax.metrics.frechet import (
    frechet_distance,
    frechet_distance_of_moments,
    half_sample_distances,
    moments,
    random_split_distances,
)


def covariance(rng, size, rank=None):
    root = rng.normal(size=(size, rank or size))
    return root @ root.T


def test_diagonal_gaussians_have_closed_form_distance():
    rng = np.random.default_rng(0)
    mean_a, mean_b = rng.normal(size=(2, 6))
    std_a, std_b = rng.uniform(0.1, 2, size=(2, 6))
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((std_a - std_b) ** 2)
    distance = frechet_distance_of_moments(
        mean_a, np.diag(std_a**2), mean_b, np.diag(std_b**2)
    )
    np.testing.assert_allclose(distance, expected, rtol=1e-12)


def test_commuting_covariances_have_closed_form_distance():
    """In a shared eigenbasis only the standard deviations differ."""
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    std_a, std_b = rng.uniform(0.1, 2, size=(2, 5))
    distance = frechet_distance_of_moments(
        np.zeros(5),
        basis * std_a**2 @ basis.T,
        np.zeros(5),
        basis * std_b**2 @ basis.T,
    )
    np.testing.assert_allclose(distance, np.sum((std_a - std_b) ** 2), rtol=1e-11)


def test_two_dimensional_covariances_have_closed_form_distance():
    """tr(M^½) = sqrt(tr M + 2 sqrt(det M)) for 2 x 2 with positive eigenvalues."""
    rng = np.random.default_rng(2)
    cov_a, cov_b = covariance(rng, 2), covariance(rng, 2)
    product = cov_a @ cov_b
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    distance = frechet_distance_of_moments(np.zeros(2), cov_a, np.ones(2), cov_b)
    expected = 2 + np.trace(cov_a + cov_b) - 2 * root
    np.testing.assert_allclose(distance, expected, rtol=1e-11)


@pytest.mark.parametrize("rows", [3, 50])
def test_identical_sets_have_distance_0_and_translated_ones_its_square(rows):
    features = np.random.default_rng(3).normal(size=(rows, 8))
    shift = np.linspace(-1, 2, 8)
    assert frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(
        frechet_distance(features, features + shift), np.sum(shift**2), rtol=1e-11
    )


def test_orthogonal_covariances_of_low_rank_have_closed_form_distance():
    cov_a, cov_b = np.diag([3.0, 2.0, 0.0, 0.0]), np.diag([0.0, 0.0, 1.0, 5.0])
    distance = frechet_distance_of_moments(np.zeros(4), cov_a, np.zeros(4), cov_b)
    assert distance == pytest.approx(11, rel=1e-12)


def test_distance_is_symmetric_for_float32():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(40, 6)).astype(np.float32)
    b = (rng.normal(size=(30, 6)) @ rng.normal(size=(6, 6))).astype(np.float32)
    np.testing.assert_allclose(
        frechet_distance(a, b), frechet_distance(b, a), rtol=1e-12
    )


def test_moments_equal_numpy():
    features = np.random.default_rng(5).normal(size=(20, 4))
    mean, cov = moments(features)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(cov, np.cov(features, rowvar=False), rtol=1e-12)


def test_distance_equals_matrix_square_root_form():
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(6)
    cov_a, cov_b = covariance(rng, 16), covariance(rng, 16)
    root = linalg.sqrtm(cov_a @ cov_b).real
    expected = np.trace(cov_a + cov_b - 2 * root)
    distance = frechet_distance_of_moments(np.zeros(16), cov_a, np.zeros(16), cov_b)
    np.testing.assert_allclose(distance, expected, rtol=1e-8)


def test_random_splits_spread_like_new_samples():
    rng = np.random.default_rng(7)
    mixing = rng.normal(size=(8, 8)) / np.sqrt(8)
    features = rng.normal(size=(1500, 8)) @ mixing
    new_distances = [
        frechet_distance(rng.normal(size=(60, 8)) @ mixing, features)
        for _ in range(300)
    ]
    distances = random_split_distances(features, 60, 300)
    assert np.std(distances) == pytest.approx(np.std(new_distances), rel=0.2)
    assert np.mean(distances) == pytest.approx(np.mean(new_distances), rel=0.1)
    np.testing.assert_array_equal(
        random_split_distances(features, 60, 2), distances[:2]
    )


def test_halves_spread_like_new_samples():
    """Of samples that are far from the reference, as those of a model are."""
    rng = np.random.default_rng(8)
    mixing = rng.normal(size=(8, 8)) / np.sqrt(8)
    reference = rng.normal(size=(1500, 8)) @ mixing

    def samples():
        return rng.normal(0.3, 1.2, size=(100, 8)) @ mixing

    new_distances = [frechet_distance(samples(), reference) for _ in range(300)]
    deviations = [
        np.std(half_sample_distances(samples(), reference, 50)) for _ in range(20)
    ]
    assert np.mean(deviations) == pytest.approx(np.std(new_distances), rel=0.2)


def test_half_is_drawn_without_replacement():
    features = np.arange(4.0)[:, None]
    distances = half_sample_distances(features, features, 200)
    pairs = [[a, b] for a in range(4) for b in range(a)]
    expected = [frechet_distance(features[pair], features) for pair in pairs]
    np.testing.assert_allclose(np.unique(distances), np.unique(expected), atol=1e-12)


def test_invalid_features_raise_value_error():
    good = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"other must be \[N >= 2, D\], not \[1, 2\]"):
        frechet_distance(good, good[:1])
    with pytest.raises(ValueError, match="differ in width: 2 and 3"):
        frechet_distance(good, np.ones((4, 3)))
    assert np.isnan(frechet_distance(good, np.full((4, 2), np.nan)))
