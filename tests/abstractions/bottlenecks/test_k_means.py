"""k-means against scikit-learn's."""

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.abstractions.bottlenecks.k_means import k_means, lloyd, nearest_center

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(60, 3)).astype(np.float32)
WEIGHTS = RNG.integers(1, 9, 60).astype(np.float32)


def inertia(centers) -> float:
    """The weighted sum of squared distances to the nearest centers."""
    squares = np.square(POINTS[:, None] - np.asarray(centers)).sum(axis=-1)
    return float(WEIGHTS @ squares.min(axis=1))


def fitted(**options):
    """Scikit-learn's five clusters of the points."""
    from sklearn.cluster import KMeans  # Here, since it takes longer than JAX.

    return KMeans(5, **options).fit(POINTS, sample_weight=WEIGHTS)


def test_iterations_from_the_same_centers_equal_those_of_scikit_learn():
    start = POINTS[:5]
    expected = fitted(init=start, n_init=1, tol=0, algorithm="lloyd")
    centers = jax.jit(lloyd)(POINTS, WEIGHTS, start, 100)
    np.testing.assert_allclose(centers, expected.cluster_centers_, rtol=1e-4, atol=1e-5)
    labels = nearest_center(jnp.asarray(POINTS), centers)
    np.testing.assert_array_equal(labels, expected.labels_)


def test_result_is_a_function_of_the_key_and_near_the_best_of_many():
    best = fitted(n_init=20, random_state=0)
    keys = jax.random.split(jax.random.key(0), 4)
    centers = [k_means(key, POINTS, WEIGHTS, 5) for key in keys]
    np.testing.assert_array_equal(centers[0], k_means(keys[0], POINTS, WEIGHTS, 5))
    assert len({float(c.sum()) for c in centers}) > 1
    assert min(map(inertia, centers)) < 1.1 * best.inertia_


def test_center_without_points_stays():
    points = jnp.array([[0.0], [1.0]])
    start = jnp.array([[0.0], [1.0], [9.0]])
    np.testing.assert_array_equal(lloyd(points, jnp.ones(2), start, 10), start)


def test_as_many_centers_as_points_are_the_points():
    points = POINTS[:7]
    centers = k_means(jax.random.key(1), points, WEIGHTS[:7], 7)
    order = np.lexsort(np.asarray(centers).T), np.lexsort(points.T)
    np.testing.assert_allclose(centers[order[0]], points[order[1]], rtol=1e-6)
