"""Soft measurements in frames: fractions of materials in pixels, sums within windows."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from regen_jax.modalities.faces.face import CENTER, rotate
from regen_jax.modalities.faces.shapes import coverage

_EPSILON = 1e-6
_STRETCH = 0.03


def material_fraction(
    pixels: jax.Array, base: jax.Array, other: jax.Array
) -> jax.Array:
    """Returns the fraction of a material in pixels of two, f32[...] in [0, 1].

    Args:
      pixels: f32[..., 3].
      base: color of one material, which broadcasts to the pixels.
      other: color of the material that is measured.
    """
    direction = other - base
    length = jnp.sum(direction**2, axis=-1, keepdims=True) + _EPSILON
    return snap_fractions(_product(pixels, base, direction / length))


def material_fractions(
    pixels: jax.Array, base: jax.Array, first: jax.Array, second: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the fractions of two materials in pixels of three, by least squares.

    Args:
      pixels: f32[..., 3].
      base: color of the third material; colors broadcast to the pixels.
      first: color of one material that is measured.
      second: color of the other.

    Returns:
      A fraction f32[...] of each, not clipped to [0, 1].
    """
    u, v = first - base, second - base
    uu, vv, uv = (jnp.sum(a * b, axis=-1) for a, b in ((u, u), (v, v), (u, v)))
    scale = (1 / (uu * vv - uv**2 + _EPSILON))[..., None]
    of_first = (vv[..., None] * u - uv[..., None] * v) * scale
    of_second = (uu[..., None] * v - uv[..., None] * u) * scale
    return _product(pixels, base, of_first), _product(pixels, base, of_second)


def snap_fractions(fractions: jax.Array) -> jax.Array:
    """Clips fractions to [0, 1] after stretching them by 3% at both ends.

    So the rounding of colors does not accumulate over pixels that one material covers; the
    mean area of edge pixels is preserved.
    """
    return jnp.clip((fractions - _STRETCH) / (1 - 2 * _STRETCH), 0, 1)


def _product(pixels: jax.Array, base: jax.Array, direction: jax.Array) -> jax.Array:
    """Returns the product of differences from a base with a direction, f32[...].

    Channel by channel, since sums over an axis of three are slow on CPUs.
    """
    channels = ((pixels[..., c] - base[..., c]) * direction[..., c] for c in range(3))
    return sum(channels, start=jnp.float32(0))


def fill_columns(fractions_HxW: jax.Array) -> jax.Array:
    """Returns fractions [..., H, W] with what lies between the ends of a column filled.

    The shape of a convex region is exact, whatever is drawn within it.
    """
    rows = jnp.moveaxis(fractions_HxW, -2, 0)

    def grow(largest: jax.Array, row: jax.Array) -> tuple[jax.Array, jax.Array]:
        largest = jnp.maximum(largest, row)
        return largest, largest

    # Row by row: far faster on CPUs than `cummax`, which compares all pairs of rows.
    start = jnp.zeros_like(rows[0])
    _, above = jax.lax.scan(grow, start, rows)
    _, below = jax.lax.scan(grow, start, rows, reverse=True)
    return jnp.moveaxis(jnp.minimum(above, below), 0, -2)


class Region(NamedTuple):
    """Area, center and second moments of a soft region in pixels, f32[...]."""

    area: jax.Array
    x: jax.Array
    y: jax.Array
    xx: jax.Array
    yy: jax.Array
    xy: jax.Array

    def rotated(self, angle: jax.Array) -> "Region":
        """Returns the region with its coordinates rotated by an angle in radians."""
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        x, y = rotate(self.x, self.y, angle)
        cross = 2 * sin * cos * self.xy
        return Region(
            self.area,
            x,
            y,
            cos**2 * self.xx - cross + sin**2 * self.yy,
            sin**2 * self.xx + cross + cos**2 * self.yy,
            sin * cos * (self.xx - self.yy) + (cos**2 - sin**2) * self.xy,
        )


def measure(weights: jax.Array, rows: slice, columns: slice) -> Region:
    """Measures weights f32[..., H, W] of a part of a frame, relative to the center.

    All sums are products with one matrix, which CPUs compute far faster than sums.
    """
    x = np.arange(columns.start, columns.stop) - CENTER[0]
    y = np.arange(rows.start, rows.stop)[:, None] - CENTER[1]
    powers = (x**0 * y**0, x * y**0, x**0 * y, x * x * y**0, x**0 * y * y, x * y)
    matrix = np.stack([power.ravel() for power in powers], axis=-1).astype(np.float32)
    flat = weights.reshape(*weights.shape[:-2], -1)
    sums = jnp.matmul(flat, matrix, precision=jax.lax.Precision.HIGHEST)
    area = sums[..., 0]
    mean_x, mean_y, xx, yy, xy = jnp.moveaxis(
        sums / (area[..., None] + _EPSILON), -1, 0
    )[1:]
    return Region(
        area,
        mean_x,
        mean_y,
        jnp.maximum(xx - mean_x**2, 0),
        jnp.maximum(yy - mean_y**2, 0),
        xy - mean_x * mean_y,
    )


def window(x: jax.Array, y: jax.Array, x_range, y_range) -> jax.Array:
    """Returns the coverage of pixels by a rectangle with soft edges."""
    (left, right), (top, bottom) = x_range, y_range
    horizontal = coverage(left - x) * coverage(x - right)
    return horizontal * coverage(top - y) * coverage(y - bottom)
