"""k-means of weighted points."""

import functools

import jax
import jax.numpy as jnp


@functools.partial(jax.jit, static_argnames=("num_centers", "max_iterations"))
def k_means(
    rng: jax.Array,
    points: jax.Array,
    weights: jax.Array,
    num_centers: int,
    max_iterations: int = 100,
) -> jax.Array:
    """Returns centers f32[K, D] of few squared distances to the points.

    k-means++ (Arthur and Vassilvitskii, SODA 2007) and then Lloyd's iterations, until no
    point changes its center. The same key and points give the same centers.

    Args:
      rng: of the first centers.
      points: f32[N, D], with K distinct ones at least.
      weights: f32[N], above 0: how often each point occurs.
      num_centers: K.
      max_iterations: at most so many of Lloyd's.
    """
    centers = _plus_plus(rng, points, weights, num_centers)
    return lloyd(points, weights, centers, max_iterations)


def lloyd(
    points: jax.Array, weights: jax.Array, centers: jax.Array, max_iterations: int
) -> jax.Array:
    """Returns centers f32[K, D] after Lloyd's iterations from those of `centers`.

    A center that has no points stays where it is.
    """

    def move(carry):
        centers, assigned, _, iteration = carry
        one_hot = jax.nn.one_hot(assigned, len(centers)) * weights[:, None]
        totals = one_hot.sum(axis=0)[:, None]
        sums = jnp.matmul(one_hot.T, points, precision=jax.lax.Precision.HIGHEST)
        centers = jnp.where(totals > 0, sums / jnp.maximum(totals, 1e-30), centers)
        nearest = nearest_center(points, centers)
        return centers, nearest, jnp.any(nearest != assigned), iteration + 1

    start = centers, nearest_center(points, centers), jnp.array(True), jnp.array(0)
    return jax.lax.while_loop(
        lambda carry: carry[2] & (carry[3] < max_iterations), move, start
    )[0]


def nearest_center(points: jax.Array, centers: jax.Array) -> jax.Array:
    """Returns i32[N], the center f32[K, D] that each point f32[N, D] is nearest to."""
    return jnp.argmin(_squared_distances(points, centers), axis=1).astype(jnp.int32)


def _plus_plus(
    rng: jax.Array, points: jax.Array, weights: jax.Array, num_centers: int
) -> jax.Array:
    """Draws centers f32[K, D]: points, by weight and squared distance to those before."""
    first_rng, rng = jax.random.split(rng)
    first = points[jax.random.categorical(first_rng, jnp.log(weights))]
    centers = jnp.zeros((num_centers, points.shape[1])).at[0].set(first)

    def add(index, carry):
        centers, distances = carry
        logits = jnp.log(weights * distances)
        draw = jax.random.categorical(jax.random.fold_in(rng, index), logits)
        center = points[draw]
        squares = jnp.sum(jnp.square(points - center), axis=1)
        return centers.at[index].set(center), jnp.minimum(distances, squares)

    distances = jnp.sum(jnp.square(points - first), axis=1)
    return jax.lax.fori_loop(1, num_centers, add, (centers, distances))[0]


def _squared_distances(points: jax.Array, centers: jax.Array) -> jax.Array:
    """Returns |c|² - 2 p·c, f32[N, K]: squared distances but for |p|², the same for all."""
    products = jnp.matmul(points, centers.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.sum(jnp.square(centers), axis=1) - 2 * products
