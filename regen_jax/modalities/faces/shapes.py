"""Coverage of pixels by shapes with anti-aliased edges, from signed distances.

The distance to an edge is that of the pixel's center in pixels, negative inside. Coverage
falls linearly over one pixel, which keeps the area of a shape: sums of coverage measure
areas, and positions of edges to fractions of a pixel.
"""

import jax
import jax.numpy as jnp

_EPSILON = 1e-6


def coverage(distance: jax.Array) -> jax.Array:
    """Returns the fraction of a pixel that a shape covers, from its signed distance."""
    return jnp.clip(0.5 - distance, 0, 1)


def ellipse(x: jax.Array, y: jax.Array, x_radius, y_radius) -> jax.Array:
    """Estimates the signed distance of points to an ellipse about the origin.

    It is exact to first order at the edge (Quilez, "Ellipse distance estimation", the
    ratio of the implicit function to its gradient).
    """
    value = jnp.sqrt((x / x_radius) ** 2 + (y / y_radius) ** 2 + _EPSILON)
    slope = jnp.sqrt(
        (x / x_radius**2) ** 2 + (y / y_radius**2) ** 2 + _EPSILON / y_radius**2
    )
    return value * (value - 1) / slope


def box(x: jax.Array, low, high) -> jax.Array:
    """Returns the signed distance of a coordinate to the interval [low, high]."""
    return jnp.maximum(low - x, x - high)
